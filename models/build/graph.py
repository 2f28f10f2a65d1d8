"""Writes a network as ONNX: opset 13, standard operators, fixed shapes, batch 1.

Names follow the layers: layer L gives convolution node `L`, and tensors `L_conv` (before ReLU6), `L`, `L_sum` (after
the residual). In the int8 file tensor T becomes `T_u8` by exactly one QuantizeLinear and goes back to float by exactly
one DequantizeLinear; a convolution's weight and bias are `L_weight_i8` and `L_bias_i32`, each behind a DequantizeLinear.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import SIDE, Layer, mid_layer
from quantise import Quantisation, QuantisedNetwork

OPSET = 13
IR_VERSION = 8  # the lowest in use that knows opset 13 .. 17; every reader of today takes it


class GraphWriter:
    """Collects nodes and initializers."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, values) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, name: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def model(self, name: str, description: str, outputs: dict[str, list[int]]) -> onnx.ModelProto:
        entry = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
        exits = [helper.make_tensor_value_info(tap, TensorProto.FLOAT, shape) for tap, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, name, [entry], exits, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = model.producer_version = ""
        model.doc_string = description
        onnx.checker.check_model(model, full_check=True)
        return model


def tap_shapes(layers: list[Layer]) -> dict[str, list[int]]:
    """Shapes of both outputs."""
    return {
        "mid": [1, len(mid_layer(layers).bias), SIDE // 16, SIDE // 16],
        "last": [1, len(layers[-1].bias), SIDE // 32, SIDE // 32],
    }


def tensor_names(layers: list[Layer]) -> dict[str, str]:
    """Name in the file of every tensor whose name is not its own."""
    return {mid_layer(layers).output: "mid"}


def convolution(writer: GraphWriter, layer: Layer, inputs: list[str], output: str) -> str:
    """The Conv node of a layer, and its Clip if it has a ReLU6. `output` names the tensor after both."""
    pad = layer.kernel // 2
    result = writer.node(
        "Conv",
        layer.name,
        inputs,
        f"{layer.name}_conv" if layer.relu6 else output,
        kernel_shape=[layer.kernel] * 2,
        strides=[layer.stride] * 2,
        pads=[pad] * 4,
        dilations=[1, 1],
        group=layer.groups,
    )
    if layer.relu6:
        result = writer.node("Clip", f"{layer.name}_relu6", [result, "zero", "six"], output)
    return result


def relu6_bounds(writer: GraphWriter) -> None:
    writer.constant("zero", np.float32(0))
    writer.constant("six", np.float32(6))


def float_model(layers: list[Layer], description: str) -> onnx.ModelProto:
    """The float32 network."""
    writer, names = GraphWriter(), tensor_names(layers)
    relu6_bounds(writer)
    for layer in layers:
        weight = writer.constant(f"{layer.name}_weight", layer.weight.astype(np.float32))
        bias = writer.constant(f"{layer.name}_bias", layer.bias.astype(np.float32))
        source = names.get(layer.source, layer.source)
        convolution(writer, layer, [source, weight, bias], layer.result)
        if layer.residual:
            output = names.get(layer.output, layer.output)
            residual = names.get(layer.residual, layer.residual)
            writer.node("Add", layer.output, [residual, layer.result], output)
    return writer.model("mobilenetv2_128", description, tap_shapes(layers))


def requantise(writer: GraphWriter, source: str, name: str, quantisation: Quantisation, output: str) -> None:
    """QuantizeLinear and DequantizeLinear of one activation; `output` names the tensor after both."""
    scale = writer.constant(f"{name}_scale", np.float32(quantisation.scale))
    zero_point = writer.constant(f"{name}_zero_point", np.uint8(quantisation.zero_point))
    writer.node("QuantizeLinear", f"{name}_quantize", [source, scale, zero_point], f"{name}_u8")
    writer.node("DequantizeLinear", f"{name}_dequantize", [f"{name}_u8", scale, zero_point], output)


def dequantised(writer: GraphWriter, name: str, values: np.ndarray, scale: np.ndarray, kind: str) -> str:
    """A constant behind a DequantizeLinear along axis 0."""
    constant = writer.constant(f"{name}_{kind}", values)
    scales = writer.constant(f"{name}_scale", scale)
    zero_points = writer.constant(f"{name}_zero_point", np.zeros(len(values), values.dtype))
    return writer.node("DequantizeLinear", f"{name}_dequantize", [constant, scales, zero_points], name, axis=0)


def int8_model(network: QuantisedNetwork, description: str) -> onnx.ModelProto:
    """The int8 network, with its arithmetic written as QuantizeLinear and DequantizeLinear."""
    layers = [quantised.layer for quantised in network.layers]
    writer, names = GraphWriter(), tensor_names(layers)
    relu6_bounds(writer)

    def real(name: str) -> str:
        """The float form of an activation: an output of the graph by its own name, any other by `_real`."""
        return names.get(name, name if name == "last" else f"{name}_real")

    requantise(writer, "input", "input", network.activations["input"], "input_real")
    for quantised in network.layers:
        layer = quantised.layer
        weight = dequantised(writer, f"{layer.name}_weight", quantised.weight, quantised.weight_scale, "i8")
        bias = dequantised(writer, f"{layer.name}_bias", quantised.bias, quantised.bias_scale, "i32")
        before = f"{layer.result}_before"
        convolution(writer, layer, [real(layer.source), weight, bias], before)
        requantise(writer, before, layer.result, network.activations[layer.result], real(layer.result))
        if layer.residual:
            before = f"{layer.output}_before"
            writer.node("Add", layer.output, [real(layer.residual), real(layer.result)], before)
            requantise(writer, before, layer.output, network.activations[layer.output], real(layer.output))
    return writer.model("mobilenetv2_128_int8", description, tap_shapes(layers))
