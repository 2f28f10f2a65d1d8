"""Writes the int8 backbone as a full-integer .tflite file: the same integers, another container.

- Activations: TFLite knows int8 only, so value and zero point are the u8 ones minus 128. The real values are the same.
- Weights, their scale for each output channel, and the int32 biases are copied.
- Clip to 0..6 becomes the fused activation RELU6.
- Padding: ONNX pads by 1 on every side, of which a 3x3 kernel with stride 2 on an even side reads only the top and
  left. TFLite's SAME pads only the bottom and right there. So every 3x3 kernel is flipped in both directions, and so
  must be the picture: then both read the same values, and every map comes out flipped. No PAD operator is needed, which
  would cost TFLite time that the network does not ask for.
"""

from collections.abc import Iterable
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from network import Activation, Addition, Convolution, Network

OFFSET = 128  # of int8 from u8
FILE_IDENTIFIER = b"TFL3"
VERSION = 3
# Operators, and the version of each that takes int8.
OPERATORS = {
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.ADD: 2,
}


def flipped(maps: np.ndarray) -> np.ndarray:
    """Both last axes backwards: pictures and maps as [..., row, column]."""
    return maps[..., ::-1, ::-1]


class FlatWriter:
    """Collects tensors, buffers and operators of one subgraph."""

    def __init__(self):
        self.buffers = [schema.BufferT()]  # the first is the empty one, of all tensors that are no constants
        self.tensors: list[schema.TensorT] = []
        self.operators: list[schema.OperatorT] = []
        self.places: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Iterable[int],
        kind: int,
        scale: np.ndarray,
        zero_point: np.ndarray,
        axis: int = 0,
        buffer: int = 0,
    ) -> int:
        quantization = schema.QuantizationParametersT(
            scale=scale.astype(np.float32), zeroPoint=zero_point.astype(np.int64), quantizedDimension=axis
        )
        self.tensors.append(
            schema.TensorT(
                shape=np.array(list(shape), np.int32), type=kind, buffer=buffer, name=name, quantization=quantization
            )
        )
        return len(self.tensors) - 1

    def activation(self, tensor: Activation) -> None:
        self.places[tensor.name] = self.tensor(
            tensor.name,
            (1, tensor.side, tensor.side, tensor.channels),
            schema.TensorType.INT8,
            np.array([tensor.scale]),
            np.array([tensor.zero_point - OFFSET]),
        )

    def constant(self, name: str, values: np.ndarray, kind: int, scale: np.ndarray, axis: int) -> int:
        self.buffers.append(schema.BufferT(data=np.ascontiguousarray(values).reshape(-1).view(np.uint8)))
        zero_point = np.zeros(len(scale))
        return self.tensor(name, values.shape, kind, scale, zero_point, axis, len(self.buffers) - 1)

    def operator(self, kind: int, inputs: list[int], output: str, options_kind: int, options: object) -> None:
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=list(OPERATORS).index(kind),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([self.places[output]], np.int32),
                builtinOptionsType=options_kind,
                builtinOptions=options,
            )
        )

    def convolution(self, layer: Convolution) -> None:
        weight = flipped(layer.weight)
        shared = {
            "padding": schema.Padding.SAME,
            "strideW": layer.stride,
            "strideH": layer.stride,
            "fusedActivationFunction": getattr(schema.ActivationFunctionType, "RELU6" if layer.relu6 else "NONE"),
        }
        if layer.depthwise:
            kind = schema.BuiltinOperator.DEPTHWISE_CONV_2D
            weight, axis = weight.transpose(1, 2, 3, 0), 3
            options_kind = schema.BuiltinOptions.DepthwiseConv2DOptions
            options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **shared)
        else:
            kind = schema.BuiltinOperator.CONV_2D
            weight, axis = weight.transpose(0, 2, 3, 1), 0
            options_kind = schema.BuiltinOptions.Conv2DOptions
            options = schema.Conv2DOptionsT(**shared)
        inputs = [
            self.places[layer.source],
            self.constant(f"{layer.name}_weight", weight, schema.TensorType.INT8, layer.weight_scale, axis),
            self.constant(f"{layer.name}_bias", layer.bias, schema.TensorType.INT32, layer.bias_scale, 0),
        ]
        self.operator(kind, inputs, layer.output, options_kind, options)

    def addition(self, layer: Addition) -> None:
        inputs = [self.places[layer.left], self.places[layer.right]]
        options = schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.NONE)
        self.operator(schema.BuiltinOperator.ADD, inputs, layer.output, schema.BuiltinOptions.AddOptions, options)

    def file(self, source: str, outputs: list[str], description: str) -> bytes:
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=kind, builtinCode=kind, version=version)
            for kind, version in OPERATORS.items()
        ]
        subgraph = schema.SubGraphT(
            tensors=self.tensors,
            inputs=np.array([self.places[source]], np.int32),
            outputs=np.array([self.places[name] for name in outputs], np.int32),
            operators=self.operators,
            name="main",
        )
        model = schema.ModelT(
            version=VERSION, operatorCodes=codes, subgraphs=[subgraph], description=description, buffers=self.buffers
        )
        builder = flatbuffers.Builder(1 << 22)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def write_tflite(network: Network, stop_at: str, outputs: list[str], path: Path) -> None:
    """Writes the layers that tap `stop_at` needs. `outputs` are u8 tensor names, the file's outputs in this order."""
    layers = network.up_to(stop_at)
    writer = FlatWriter()
    writer.activation(network.activations[network.source])
    for layer in layers:
        writer.activation(network.activations[layer.output])
        if isinstance(layer, Convolution):
            writer.convolution(layer)
        else:
            writer.addition(layer)
    path.write_bytes(writer.file(network.source, outputs, f"Ajar's int8 backbone up to {stop_at}, maps flipped"))
