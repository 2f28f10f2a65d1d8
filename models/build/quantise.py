"""int8 form of a network: ranges of the activations, rounded weights, integer biases.

Activations are u8 with one scale and zero point a tensor; weights are int8 in -127..127 with one scale an output
channel; biases are int32 in units of (input scale x weight scale). Two things are chosen by data:

- the taps of a depthwise kernel are rounded up or down, all 512 ways tried, for the smallest variance of the error the
  kernel makes on real inputs (after Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020);
- the mean of the error that is left is taken out of the bias (bias correction, Nagel et al. 2019).
"""

import itertools
from dataclasses import dataclass

import numpy as np

from equalise import coarse
from network import Layer, forward, tap_views
from pictures import DEVIATION, MEAN, Crop

LARGEST_WEIGHT = 127  # -128 is left out: sums of two products then fit 16 bits on CPUs without a dot product
UP_OR_DOWN = np.array(list(itertools.product([0, 1], repeat=9)), dtype=np.float64)  # [512, 9]
RANGE_SHARE = 0.9  # a range holds the extremes of nine crops in ten; wider ones cost more in steps than they save
TIE = 1e-9  # errors that differ by less, relative, count as equal


@dataclass(frozen=True)
class Quantisation:
    """value = scale * (u8 - zero_point). The scale is a float32 kept in a Python float."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class QuantisedLayer:
    """A layer with integer weights; `layer` keeps its float form and its wiring."""

    layer: Layer
    weight: np.ndarray  # int8, shape as in `layer`
    weight_scale: np.ndarray  # float32 [out channels]
    bias: np.ndarray  # int32 [out channels]
    bias_scale: np.ndarray  # float32 [out channels], input scale * weight scale


@dataclass(frozen=True)
class QuantisedNetwork:
    layers: list[QuantisedLayer]
    activations: dict[str, Quantisation]  # by tensor name; "input" and both results of a layer with a residual too


@dataclass
class Statistics:
    """What the calibration crops say about one network."""

    low: dict[str, list[float]]  # smallest value in each crop, by tensor name
    high: dict[str, list[float]]  # largest value in each crop, by tensor name
    mean: dict[str, np.ndarray]  # by layer: mean input of every tap, [input channels, taps]
    covariance: dict[str, np.ndarray]  # by depthwise layer: of the nine taps of every channel, [channels, 9, 9]


def measure_statistics(layers: list[Layer], crops: list[Crop]) -> Statistics:
    """One pass over the crops."""
    low: dict[str, list[float]] = {}
    high: dict[str, list[float]] = {}
    mean = {layer.name: 0.0 for layer in layers}
    second = {layer.name: 0.0 for layer in layers if layer.depthwise}
    for crop in crops:
        tensors = forward(layers, crop.normalised())
        for name, values in tensors.items():
            low.setdefault(name, []).append(values.min())
            high.setdefault(name, []).append(values.max())
        for layer in layers:
            x = tensors[layer.source]
            views = tap_views(x, layer) if layer.kernel == 3 else [x]
            seen = np.stack([view.reshape(len(x), -1) for view in views], axis=1)  # [channels, taps, positions]
            mean[layer.name] = mean[layer.name] + seen.mean(axis=2) / len(crops)
            if layer.depthwise:
                second[layer.name] += seen @ seen.transpose(0, 2, 1) / seen.shape[2] / len(crops)
    covariance = {name: second[name] - mean[name][:, :, None] * mean[name][:, None, :] for name in second}
    return Statistics(low, high, mean, covariance)


def quantisation_of(low: float, high: float) -> Quantisation:
    """The u8 mapping of a range that holds 0; 0 itself is exact, as zero padding needs."""
    low, high = coarse(np.array([min(low, 0.0), max(high, 0.0)]))
    scale = float(np.float32((high - low) / 255))
    return Quantisation(scale, int(round(-low / scale)))


def input_quantisation() -> Quantisation:
    """The mapping of the network's input: its range is known, black to white in the widest channel."""
    return quantisation_of((-MEAN / DEVIATION).min(), ((1 - MEAN) / DEVIATION).max())


def round_to_nearest(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """int8 weights, each rounded to the nearest step of its output channel's scale."""
    steps = np.round(weight / scale[:, None, None, None])
    return np.clip(steps, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)


def round_by_data(weight: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """int8 depthwise weights [channels, 1, 3, 3]: of all ways to round a kernel up or down, the least error variance."""
    rounded = np.empty(weight.shape, dtype=np.int8)
    for channel, kernel in enumerate(weight.reshape(-1, 9) / scale[:, None].astype(np.float64)):
        steps = np.clip(np.floor(kernel) + UP_OR_DOWN, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        error = steps - kernel
        spread = np.einsum("ni,ij,nj->n", error, covariance[channel], error)
        distance = (error**2).sum(axis=1)
        best = spread <= spread.min() + TIE * (spread.max() + 1e-12)
        rounded[channel, 0] = steps[np.where(best, distance, np.inf).argmin()].reshape(3, 3)
    return rounded


def mean_error(layer: Layer, weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Mean of (quantised - float) results of a layer, from its weights alone: [out channels]."""
    error = (weight - layer.weight).reshape(*weight.shape[:2], -1)  # [out, in / groups, taps]
    if layer.depthwise:
        return (error[:, 0] * mean).sum(axis=1)
    return np.tensordot(error, mean, axes=2)


def quantise_layer(layer: Layer, statistics: Statistics, source: Quantisation) -> QuantisedLayer:
    """Rounds one layer's weights, then its bias."""
    peak = np.abs(layer.weight).max(axis=(1, 2, 3))
    weight_scale = np.maximum(peak / LARGEST_WEIGHT, 1e-8).astype(np.float32)
    if layer.depthwise:
        weight = round_by_data(layer.weight, weight_scale, statistics.covariance[layer.name])
    else:
        weight = round_to_nearest(layer.weight, weight_scale)
    as_float = weight * weight_scale[:, None, None, None].astype(np.float64)
    corrected = layer.bias - mean_error(layer, as_float, statistics.mean[layer.name])
    bias_scale = np.float32(source.scale) * weight_scale
    limit = 2**31 - 1
    bias = np.clip(np.round(corrected / bias_scale.astype(np.float64)), -limit, limit).astype(np.int32)
    return QuantisedLayer(layer, weight, weight_scale, bias, bias_scale)


def quantise(layers: list[Layer], crops: list[Crop]) -> QuantisedNetwork:
    """The int8 form of a network, calibrated on the crops."""
    statistics = measure_statistics(layers, crops)
    activations = {}
    for name in statistics.low:
        low = np.quantile(statistics.low[name], 1 - RANGE_SHARE)
        activations[name] = quantisation_of(low, np.quantile(statistics.high[name], RANGE_SHARE))
    activations["input"] = input_quantisation()
    quantised = [quantise_layer(layer, statistics, activations[layer.source]) for layer in layers]
    return QuantisedNetwork(quantised, activations)
