"""Runs a model: tflite.py MODEL RUNS. One thread, a grey picture."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, runs = sys.argv[1], int(sys.argv[2])
interpreter = Interpreter(model_path=model, num_threads=1)
interpreter.allocate_tensors()
entry = interpreter.get_input_details()[0]
interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
for _ in range(runs):
    interpreter.invoke()
if not any(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details()):
    sys.exit(f"{model}: no delegate took it, so that this is not what TFLite can do")
