"""The int8 backbone as a list of integer layers, read from its ONNX file.

The file (models/build/graph.py writes it) says its arithmetic as DequantizeLinear, Conv, Clip and QuantizeLinear; here
each such group is one layer again. A tensor goes by the name of its u8 form. Whatever is not of that exact form is
refused: a converter that guesses would measure another network.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


class Unreadable(Exception):
    """The ONNX file has something in it that this reader does not know."""


@dataclass(frozen=True)
class Activation:
    """A u8 tensor: real value = scale * (value - zero_point)."""

    name: str
    side: int  # maps are square
    channels: int
    scale: np.float32
    zero_point: int


@dataclass(frozen=True)
class Convolution:
    name: str
    source: str
    output: str
    weight: np.ndarray  # int8, [output channel, input channel of the group, row, column]
    weight_scale: np.ndarray  # one for each output channel
    bias: np.ndarray  # int32
    bias_scale: np.ndarray
    stride: int
    depthwise: bool
    relu6: bool

    @property
    def kernel(self) -> int:
        return self.weight.shape[-1]


@dataclass(frozen=True)
class Addition:
    name: str
    left: str
    right: str
    output: str


@dataclass(frozen=True)
class Network:
    source: str
    taps: dict[str, str]  # output of the file -> its u8 tensor
    activations: dict[str, Activation]  # in the order in which they are calculated
    layers: list[Convolution | Addition]

    def up_to(self, tap: str) -> list[Convolution | Addition]:
        """The layers that `tap` needs. The file is in order and nothing branches off but the taps themselves."""
        last = next(at for at, layer in enumerate(self.layers) if layer.output == self.taps[tap])
        return self.layers[: last + 1]


class Reader:
    """The graph with its look-ups."""

    def __init__(self, path: Path):
        self.path = path
        self.graph = onnx.load(path).graph
        self.constants = {c.name: numpy_helper.to_array(c) for c in self.graph.initializer}
        self.producers = {node.output[0]: node for node in self.graph.node}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def refuse(self, what: str) -> Unreadable:
        return Unreadable(f"{self.path}: {what}; this bench converts the form that models/build/graph.py writes")

    def only_reader(self, name: str) -> onnx.NodeProto:
        readers = self.readers.get(name, [])
        if len(readers) != 1:
            raise self.refuse(f"'{name}' has {len(readers)} readers, expected one")
        return readers[0]

    def u8_of(self, real: str) -> str:
        """The u8 tensor of which `real` is the DequantizeLinear."""
        node = self.producers.get(real)
        if node is None or node.op_type != "DequantizeLinear":
            raise self.refuse(f"'{real}' does not come from a DequantizeLinear")
        return node.input[0]

    def dequantised_constant(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Integer values and scales of a weight or bias; its zero points must be 0."""
        node = self.producers[name]
        if node.op_type != "DequantizeLinear" or self.constants[node.input[2]].any():
            raise self.refuse(f"'{name}' is no symmetric constant behind a DequantizeLinear")
        return self.constants[node.input[0]], self.constants[node.input[1]]

    def activation(self, quantize: onnx.NodeProto, side: int, channels: int) -> Activation:
        scale, zero_point = (self.constants[name] for name in quantize.input[1:])
        if zero_point.dtype != np.uint8:
            raise self.refuse(f"'{quantize.output[0]}' is {zero_point.dtype}, expected uint8")
        return Activation(quantize.output[0], side, channels, np.float32(scale.item()), zero_point.item())

    def convolution(self, node: onnx.NodeProto) -> tuple[Convolution, onnx.NodeProto]:
        """The layer of a Conv node, and the QuantizeLinear that ends it."""
        weight, weight_scale = self.dequantised_constant(node.input[1])
        bias, bias_scale = self.dequantised_constant(node.input[2])
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        kernel, groups, strides = weight.shape[-1], attributes["group"], attributes["strides"]
        if weight.shape[2] != kernel or attributes["pads"] != [kernel // 2] * 4 or attributes["dilations"] != [1, 1]:
            raise self.refuse(f"'{node.name}' is no square convolution with padding kernel / 2 on every side")
        if strides[0] != strides[1] or (groups != 1 and (groups != len(weight) or weight.shape[1] != 1)):
            raise self.refuse(f"'{node.name}' has strides {strides} and {groups} groups")
        after = self.only_reader(node.output[0])
        relu6 = after.op_type == "Clip"
        if relu6:
            if [self.constants[name].item() for name in after.input[1:]] != [0, 6]:
                raise self.refuse(f"'{after.name}' does not clip to 0..6")
            after = self.only_reader(after.output[0])
        source = self.u8_of(node.input[0])
        layer = Convolution(
            node.name, source, after.output[0], weight, weight_scale, bias, bias_scale, strides[0], groups != 1, relu6
        )
        return layer, after


def read_network(path: Path) -> Network:
    reader = Reader(path)
    graph = reader.graph
    entry = graph.input[0]
    batch, channels, side, width = (d.dim_value for d in entry.type.tensor_type.shape.dim)
    if batch != 1 or side != width:
        raise reader.refuse(f"input is {batch}x{channels}x{side}x{width}, expected one square picture")
    first = reader.activation(reader.only_reader(entry.name), side, channels)
    activations, layers = {first.name: first}, []
    for node in graph.node:
        if node.op_type == "Conv":
            layer, quantize = reader.convolution(node)
            side, channels = activations[layer.source].side, len(layer.weight)
            if side % layer.stride:
                raise reader.refuse(f"'{node.name}' has stride {layer.stride} on a map of side {side}")
            side //= layer.stride
        elif node.op_type == "Add":
            quantize = reader.only_reader(node.output[0])
            left, right = (reader.u8_of(name) for name in node.input)
            layer = Addition(node.name, left, right, quantize.output[0])
            side, channels = activations[left].side, activations[left].channels
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear", "Clip"):
            continue
        else:
            raise reader.refuse(f"operator {node.op_type} of '{node.name}' is unknown")
        if quantize.op_type != "QuantizeLinear":
            raise reader.refuse(f"'{node.name}' is followed by {quantize.op_type}, expected QuantizeLinear")
        layers.append(layer)
        activations[layer.output] = reader.activation(quantize, side, channels)
    taps = {output.name: reader.u8_of(output.name) for output in graph.output}
    return Network(first.name, taps, activations, layers)
