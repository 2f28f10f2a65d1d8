"""int8 form of a network: ranges of the activations, rounded weights, integer biases.

Activations are u8 with one scale and zero point a tensor; weights are int8 in -127..127 with one scale an output
channel; biases are int32 in units of (input scale x weight scale). Two things are chosen by data:

- the taps of a depthwise kernel are rounded up or down, all 512 ways tried, for the smallest variance of the error the
  kernel makes on real inputs (after Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020);
- the mean error of every convolution, with what the layers before it add, is taken out of its bias, layer by layer (bias
  correction, Nagel et al. 2019). It does most for the worst pictures.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from equalise import coarse
from network import Layer, convolve, forward, run_layer, tap_views
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

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """The nearest values that the mapping knows."""
        return self.scale * (np.clip(np.round(values / self.scale) + self.zero_point, 0, 255) - self.zero_point)


@dataclass(frozen=True)
class QuantisedLayer:
    """A layer with integer weights; `layer` keeps its float form and its wiring."""

    layer: Layer
    weight: np.ndarray  # int8, shape as in `layer`
    weight_scale: np.ndarray  # float32 [out channels]
    bias: np.ndarray  # int32 [out channels]
    bias_scale: np.ndarray  # float32 [out channels], input scale * weight scale

    def as_float(self) -> Layer:
        """The layer that these integers stand for."""
        weight = self.weight * self.weight_scale[:, None, None, None].astype(np.float64)
        return replace(self.layer, weight=weight, bias=self.bias * self.bias_scale.astype(np.float64))


@dataclass(frozen=True)
class QuantisedNetwork:
    layers: list[QuantisedLayer]
    activations: dict[str, Quantisation]  # by tensor name; "input" and both results of a layer with a residual too


@dataclass
class Statistics:
    """What the calibration crops say about one network."""

    low: dict[str, list[float]]  # smallest value in each crop, by tensor name
    high: dict[str, list[float]]  # largest value in each crop, by tensor name
    covariance: dict[str, np.ndarray]  # by depthwise layer: of the nine taps of every channel, [channels, 9, 9]


def measure_statistics(layers: list[Layer], crops: list[Crop]) -> Statistics:
    """One pass over the crops."""
    low: dict[str, list[float]] = {}
    high: dict[str, list[float]] = {}
    depthwise = [layer for layer in layers if layer.depthwise]
    mean = {layer.name: 0.0 for layer in depthwise}
    second = {layer.name: 0.0 for layer in depthwise}
    for crop in crops:
        tensors = forward(layers, crop.normalised())
        for name, values in tensors.items():
            low.setdefault(name, []).append(values.min())
            high.setdefault(name, []).append(values.max())
        for layer in depthwise:
            x = tensors[layer.source]
            seen = np.stack([view.reshape(len(x), -1) for view in tap_views(x, layer)], axis=1)  # [channels, taps, ...]
            mean[layer.name] = mean[layer.name] + seen.mean(axis=2) / len(crops)
            second[layer.name] += seen @ seen.transpose(0, 2, 1) / seen.shape[2] / len(crops)
    covariance = {name: second[name] - mean[name][:, :, None] * mean[name][:, None, :] for name in second}
    return Statistics(low, high, covariance)


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


def quantise_layer(layer: Layer, statistics: Statistics, source: Quantisation) -> QuantisedLayer:
    """Rounds one layer's weights and bias."""
    peak = np.abs(layer.weight).max(axis=(1, 2, 3))
    weight_scale = np.maximum(peak / LARGEST_WEIGHT, 1e-8).astype(np.float32)
    if layer.depthwise:
        weight = round_by_data(layer.weight, weight_scale, statistics.covariance[layer.name])
    else:
        weight = round_to_nearest(layer.weight, weight_scale)
    bias_scale = np.float32(source.scale) * weight_scale
    return QuantisedLayer(layer, weight, weight_scale, integer_bias(layer.bias, bias_scale), bias_scale)


def integer_bias(bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """int32 in units of the scale."""
    limit = 2**31 - 1
    return np.clip(np.round(bias / scale.astype(np.float64)), -limit, limit).astype(np.int32)


def correct_biases(network: QuantisedNetwork, crops: list[Crop]) -> QuantisedNetwork:
    """Takes the mean error of each convolution out of its bias, in order, so that each sees its real, rounded inputs."""

    def finish(name, values):
        return network.activations[name].rounded(values)

    exact = [{"input": crop.normalised()} for crop in crops]
    rounded = [{"input": finish("input", tensors["input"])} for tensors in exact]
    corrected = []
    for index, quantised in enumerate(network.layers):
        layer, integer = quantised.layer, quantised.as_float()
        error = 0.0
        for e, r in zip(exact, rounded):
            difference = convolve(r[layer.source], integer) - convolve(e[layer.source], layer)
            error = error + difference.mean(axis=(1, 2)) / len(crops)
        quantised = replace(quantised, bias=integer_bias(integer.bias - error, quantised.bias_scale))
        corrected.append(quantised)
        later = [q.layer for q in network.layers[index + 1 :]]
        still_read = {name for layer in later for name in (layer.source, layer.residual)}
        for e, r in zip(exact, rounded):
            run_layer(quantised.layer, e)
            run_layer(quantised.as_float(), r, finish)
            for tensors in (e, r):
                for name in tensors.keys() - still_read:
                    del tensors[name]
    return QuantisedNetwork(corrected, network.activations)


def quantise(layers: list[Layer], crops: list[Crop], correction: list[Crop]) -> QuantisedNetwork:
    """The int8 form of a network: ranges and roundings from `crops`, biases corrected on `correction`."""
    statistics = measure_statistics(layers, crops)
    activations = {}
    for name in statistics.low:
        low = np.quantile(statistics.low[name], 1 - RANGE_SHARE)
        activations[name] = quantisation_of(low, np.quantile(statistics.high[name], RANGE_SHARE))
    activations["input"] = input_quantisation()
    quantised = [quantise_layer(layer, statistics, activations[layer.source]) for layer in layers]
    return correct_biases(QuantisedNetwork(quantised, activations), correction)
