"""The engines that run inside this process: TFLite (LiteRT) and ONNX Runtime, one thread each."""

import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from convert import OFFSET, flipped


class WrongEngine(Exception):
    """A runtime does not run the way this bench says it does."""


PROBE = (
    "import sys; from ai_edge_litert.interpreter import Interpreter;"
    "Interpreter(model_path=sys.argv[1], num_threads=1).allocate_tensors()"
)


def assert_xnnpack(path: Path) -> None:
    """Whether the delegate that takes the graph is XNNPACK. The library says so once a process, on stderr only."""
    told = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True).stderr
    if "XNNPACK delegate for CPU" not in told:
        raise WrongEngine(
            f"LiteRT did not say that it made its XNNPACK delegate for {path}; it said: {told.strip() or 'nothing'}. "
            "Use the versions in benches/engine/requirements.txt"
        )


class TfLite:
    """A .tflite file of convert.py, wholly inside one delegate."""

    def __init__(self, path: Path):
        self.interpreter = Interpreter(model_path=str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        self.entry = self.interpreter.get_input_details()[0]["index"]
        self.exits = [output["index"] for output in self.interpreter.get_output_details()]
        # The operators that a delegate took stay listed; the delegate's own node names what it reads and writes.
        nodes = [node for node in self.interpreter._get_ops_details() if node["op_name"] == "DELEGATE"]
        if len(nodes) != 1 or self.entry not in nodes[0]["inputs"] or set(self.exits) - set(nodes[0]["outputs"]):
            raise WrongEngine(f"{path}: {len(nodes)} delegated parts, expected one that takes the whole graph")

    def feed(self, picture: np.ndarray) -> None:
        """`picture` is the network's u8 input, [channel, row, column]."""
        values = flipped(picture).transpose(1, 2, 0).astype(np.int16) - OFFSET
        self.interpreter.set_tensor(self.entry, values.astype(np.int8)[None])

    def call(self) -> None:
        self.interpreter.invoke()

    def maps(self, picture: np.ndarray) -> list[np.ndarray]:
        """Outputs as u8, [channel, row, column], turned back."""
        self.feed(picture)
        self.call()
        outputs = [self.interpreter.get_tensor(index)[0].transpose(2, 0, 1) for index in self.exits]
        return [flipped((values.astype(np.int16) + OFFSET).astype(np.uint8)) for values in outputs]


class Mode(Enum):
    """How ONNX Runtime runs a file."""

    AS_WRITTEN = "graph as written"  # every node by itself, in float: what the file says
    EXACT = "exact"  # optimised, and sums of u8 x i8 products never saturate
    DEFAULT = "default"  # optimised; on x86 without VNNI such sums saturate in i16, fast and wrong


def onnx_session(model: bytes, mode: Mode) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if mode is Mode.AS_WRITTEN:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if mode is Mode.EXACT:
        options.add_session_config_entry("session.x64quantprecision", "1")  # does nothing where sums do not saturate
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def with_scalars(path: Path) -> bytes:
    """The file with every one-element constant of shape [1] as a scalar.

    ONNX wants Clip's bounds and the scale and zero point of a whole tensor to be scalars. ONNX Runtime takes [1] as
    well, but then joins no Conv, Clip and QuantizeLinear to one integer operator, and takes several times longer.
    """
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if list(constant.dims) == [1]:
            del constant.dims[:]
    return model.SerializeToString()


def onnx_call(model: bytes, mode: Mode, picture: np.ndarray) -> Callable[[], object]:
    """One run to both taps, on a float picture [channel, row, column]."""
    session, feed = onnx_session(model, mode), {"input": picture[None]}
    return lambda: session.run(["mid", "last"], feed)
