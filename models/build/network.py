"""MobileNetV2 of width 1.0 as a plain list of convolutions, and a slow exact forward pass in float64.

Architecture: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), table 2, as coded in
tonylins/pytorch-mobilenet-v2. Batch normalisation is folded into the convolution before it, so a layer is a
convolution with bias and an optional ReLU6.

The forward pass is float64 so that the order of additions, which differs between CPUs and BLAS kernels, moves a value
by about 1e-15 of itself. Everything the build derives from it is rounded far more coarsely than that, which is what
makes the built files the same bytes on every machine.
"""

from dataclasses import dataclass, replace

import numpy as np

SIDE = 128  # pixels; the network's input is SIDE x SIDE
BATCH_NORM_EPSILON = 1e-5

# (expansion, output channels, blocks, stride of the first block): table 2 of the paper.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

MID_BLOCK = 13  # the last block with 96 channels, stride 16


@dataclass(frozen=True)
class Layer:
    """One convolution. Padding keeps the size: 1 for a 3x3 kernel, 0 for a 1x1 kernel."""

    name: str
    weight: np.ndarray  # [out channels, in channels / groups, k, k]
    bias: np.ndarray  # [out channels]
    stride: int
    groups: int  # 1, or the number of channels (depthwise)
    relu6: bool
    source: str  # name of the tensor it reads
    residual: str | None = None  # name of the tensor added to its result, if any

    @property
    def result(self) -> str:
        """Name of the tensor after convolution and ReLU6."""
        return self.name

    @property
    def output(self) -> str:
        """Name of the tensor the next layer reads: the sum, where there is a residual."""
        return f"{self.name}_sum" if self.residual else self.name

    @property
    def depthwise(self) -> bool:
        return self.groups > 1

    @property
    def kernel(self) -> int:
        return self.weight.shape[2]


@dataclass(frozen=True)
class Stream:
    """Linear bottleneck outputs that are added to each other and so must share one channel space."""

    projections: tuple[str, ...]  # layers that write the stream, in order
    consumers: tuple[str, ...]  # 1x1 layers that read it, one after each projection


def fold(tensors: dict, convolution: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution with the batch normalisation after it folded in."""
    scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    weight = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
    return weight, tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale


def mobilenet_v2(tensors: dict) -> list[Layer]:
    """All layers in order, from the tensors of the published file (`features.N...`)."""
    layers: list[Layer] = []

    def add(name, prefix, index, stride, groups, relu6, residual=None):
        weight, bias = fold(tensors, f"{prefix}{index}", f"{prefix}{index + 1}")
        source = layers[-1].output if layers else "input"
        layers.append(Layer(name, weight, bias, stride, groups, relu6, source, residual))

    add("stem", "features.0.", 0, 2, 1, True)
    channels, block = 32, 1
    for expansion, out_channels, blocks, first_stride in STAGES:
        for i in range(blocks):
            stride = first_stride if i == 0 else 1
            hidden = channels * expansion
            stream = layers[-1].output
            residual = stream if stride == 1 and channels == out_channels else None
            prefix = f"features.{block}.conv."
            first = 0
            if expansion != 1:
                add(f"b{block}_expand", prefix, 0, 1, 1, True)
                first = 3
            add(f"b{block}_depthwise", prefix, first, stride, hidden, True)
            add(f"b{block}_project", prefix, first + 3, 1, 1, False, residual)
            channels, block = out_channels, block + 1
    add("last", "features.18.", 0, 1, 1, True)
    return layers


def mid_layer(layers: list[Layer]) -> Layer:
    """The layer whose output is the `mid` tap."""
    return next(layer for layer in layers if layer.name == f"b{MID_BLOCK}_project")


def streams(layers: list[Layer]) -> list[Stream]:
    """The linear bottleneck streams, in order."""
    found: list[Stream] = []
    for layer, following in zip(layers, layers[1:]):
        if layer.relu6:
            continue
        if layer.residual:
            joined = found.pop()
            found.append(Stream(joined.projections + (layer.name,), joined.consumers + (following.name,)))
        else:
            found.append(Stream((layer.name,), (following.name,)))
    return found


def with_layers(layers: list[Layer], changed: dict[str, dict]) -> list[Layer]:
    """A copy of the list with fields replaced: `changed` maps layer name to {field: value}."""
    return [replace(layer, **changed.get(layer.name, {})) for layer in layers]


def tap_views(x: np.ndarray, layer: Layer) -> list[np.ndarray]:
    """What each of the nine taps of a 3x3 kernel sees, row by row: nine arrays [channels, rows, columns]."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    rows, columns = x.shape[1:]
    step = layer.stride
    return [padded[:, i : i + rows : step, j : j + columns : step] for i in range(3) for j in range(3)]


def convolve(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Convolution with bias: [channels, rows, columns] to [out channels, rows / stride, columns / stride]."""
    bias = layer.bias[:, None, None]
    if layer.kernel == 1:
        weight = layer.weight[:, :, 0, 0]
        return (weight @ x.reshape(len(x), -1)).reshape(len(weight), *x.shape[1:]) + bias
    views = tap_views(x, layer)
    weight = layer.weight.reshape(*layer.weight.shape[:2], 9)
    if layer.depthwise:
        total = np.zeros(views[0].shape) + bias
        for tap, view in enumerate(views):
            total += weight[:, 0, tap, None, None] * view
        return total
    return sum(np.tensordot(weight[:, :, tap], view, axes=1) for tap, view in enumerate(views)) + bias


def run_layer(layer: Layer, tensors: dict[str, np.ndarray], finish=lambda name, values: values) -> None:
    """Adds a layer's results to the tensors it reads; `finish` is applied to each, by name."""
    y = convolve(tensors[layer.source], layer)
    tensors[layer.result] = finish(layer.result, np.clip(y, 0, 6) if layer.relu6 else y)
    if layer.residual:
        tensors[layer.output] = finish(layer.output, tensors[layer.result] + tensors[layer.residual])


def forward(layers: list[Layer], picture: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of one forward pass, by name. `picture`: float64 [3, SIDE, SIDE], normalised RGB."""
    tensors = {"input": picture}
    for layer in layers:
        run_layer(layer, tensors)
    return tensors


def multiply_adds(layers: list[Layer]) -> dict[str, int]:
    """Multiply-adds of each layer at SIDE x SIDE."""
    counts, side = {}, SIDE
    for layer in layers:
        side //= layer.stride
        counts[layer.name] = layer.weight.size * side * side
    return counts
