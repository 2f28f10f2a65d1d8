"""Runs an exported model: probabilities.py MODEL.onnx default|written <PICTURES

PICTURES are raw pixels of the size of the model's input, one picture after the other. Each gives a line of JSON: every
output of the model by its name.

`default` is a session without options. `written` is one without optimisation: every node by itself, what is between
quantised tensors in float.
"""

import json
import sys

import numpy as np
import onnxruntime

path, mode = sys.argv[1:]
options = onnxruntime.SessionOptions()
if mode == "written":
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
(entry,) = session.get_inputs()
names = [output.name for output in session.get_outputs()]
pictures = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(-1, *entry.shape)
for picture in pictures:
    values = session.run(None, {entry.name: picture})
    print(json.dumps({name: value.ravel().tolist() for name, value in zip(names, values)}))
