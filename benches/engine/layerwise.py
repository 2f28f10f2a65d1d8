"""Whether each layer of an engine, alone, does what the ONNX file says.

Two whole runs say little: one value that falls on the other side of a rounding boundary moves thousands after it. Here
every layer starts from the same integers: the engine runs the network with every tensor as an output, and each of these
is what ONNX Runtime calculates the next layer from, so a difference is that layer's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper

from network import Network
from pictures import quantised, real_values
from runtimes import Mode, onnx_session


class EveryLayer(Protocol):
    def maps(self, picture: np.ndarray) -> list[np.ndarray]:
        """All layers' outputs in their order, u8, [channel, row, column]."""


@dataclass(frozen=True)
class LayerDifferences:
    subject: str
    values: int
    by_one: int
    worst: int  # in quantisation steps
    worst_layer: str


def forced_model(path: Path, network: Network) -> bytes:
    """The ONNX file with every layer fed from outside: tensor T becomes an input, its own layer gives `T_next`."""
    model = onnx.load(path)
    graph = model.graph
    del graph.output[:]
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] != network.source:
            name = node.output[0]
            tensor = network.activations[name]
            shape = [1, tensor.channels, tensor.side, tensor.side]
            graph.input.append(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
            graph.output.append(helper.make_tensor_value_info(f"{name}_next", TensorProto.UINT8, shape))
            node.output[0] = f"{name}_next"
    return model.SerializeToString()


def layer_differences(
    subject: str, onnx_file: Path, every: EveryLayer, network: Network, rgb: list[np.ndarray]
) -> LayerDifferences:
    session = onnx_session(forced_model(onnx_file, network), Mode.AS_WRITTEN)
    names = [layer.output for layer in network.layers]
    entry = network.activations[network.source]
    values = by_one = worst = 0
    worst_layer = names[0]
    for picture in rgb:
        start = quantised(picture, entry)
        given = dict(zip(names, every.maps(start)))
        feed = {name: np.ascontiguousarray(maps)[None] for name, maps in given.items()}
        expected = session.run([f"{name}_next" for name in names], {"input": real_values(start, entry)[None], **feed})
        for name, result in zip(names, expected):
            steps = np.abs(result[0].astype(np.int16) - given[name])
            values += steps.size
            by_one += int((steps == 1).sum())
            if steps.max() > worst:
                worst, worst_layer = int(steps.max()), name
    return LayerDifferences(subject, values, by_one, worst, worst_layer)
