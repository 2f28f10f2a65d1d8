"""Exact re-parametrisation that makes the network easy to quantise: the float result stays the same.

A tensor has one scale in int8, so channels of very different size or with a large constant part waste its 256 levels.
Between a linear bottleneck and the 1x1 layer that reads it, any per-channel scale and offset can be taken out of the
one and put into the other; between the stem and the depthwise layer after it any scale can, as long as ReLU6 does not
clip what it did not clip before. The idea is cross-layer equalisation of Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction" (2019); here scales come from measured deviations, and streams are centred too.
"""

from dataclasses import dataclass

import numpy as np

from network import Layer, Stream, convolve, forward, streams, with_layers
from pictures import Crop

SMALLEST_DEVIATION = 1e-3  # of the largest in the stream; a channel below it is treated as that small
LARGEST_STEM_GAIN = 64.0
STEM_MARGIN = 1.25  # room above the largest value that calibration saw, before ReLU6 clips


@dataclass(frozen=True)
class Moments:
    """Mean and deviation of each channel of a tensor over all calibration crops and positions: [channels] each."""

    mean: np.ndarray
    deviation: np.ndarray


def coarse(values: np.ndarray, digits: int = 3) -> np.ndarray:
    """Rounded to a few significant digits, so that the last bits of a float sum can not reach the built files."""
    return np.array([float(f"{value:.{digits - 1}e}") for value in values])


def measure_moments(layers: list[Layer], crops: list[Crop], names: list[str]) -> dict[str, Moments]:
    """Moments of the named tensors."""
    first = {name: 0.0 for name in names}
    second = {name: 0.0 for name in names}
    for crop in crops:
        tensors = forward(layers, crop.normalised())
        for name in names:
            values = tensors[name].reshape(len(tensors[name]), -1)
            first[name] = first[name] + values.mean(axis=1)
            second[name] = second[name] + (values**2).mean(axis=1)
    found = {}
    for name in names:
        mean = first[name] / len(crops)
        found[name] = Moments(mean, np.sqrt(np.maximum(second[name] / len(crops) - mean**2, 0)))
    return found


def equalise(layers: list[Layer], crops: list[Crop]) -> list[Layer]:
    """The same network with centred, equalised bottleneck streams and a scaled stem."""
    by_name = {layer.name: layer for layer in layers}
    found = streams(layers)
    names = [by_name[p].result for s in found for p in s.projections]
    names += [by_name[p].output for s in found for p in s.projections if by_name[p].residual]
    moments = measure_moments(layers, crops, names)
    for stream in found:
        layers = equalise_stream(layers, stream, moments)
    return scale_stem(layers, crops)


def stream_scale(stream: Stream, by_name: dict[str, Layer], moments: dict[str, Moments]) -> np.ndarray:
    """What to divide each channel of a stream by: its largest deviation in the stream, about 1 on average."""
    deviations = [moments[by_name[name].output].deviation for name in stream.projections]
    deviation = np.max(deviations, axis=0)
    deviation = np.maximum(deviation, SMALLEST_DEVIATION * deviation.max())
    return coarse(deviation / np.exp(np.log(deviation).mean()))


def equalise_stream(layers: list[Layer], stream: Stream, moments: dict[str, Moments]) -> list[Layer]:
    """Every projection gives (x - mean) / scale; every consumer takes scale * x + sum of the means so far."""
    by_name = {layer.name: layer for layer in layers}
    scale = stream_scale(stream, by_name, moments)
    offset = np.zeros(len(scale))
    changed = {}
    for name, consumer_name in zip(stream.projections, stream.consumers):
        projection, consumer = by_name[name], by_name[consumer_name]
        mean = coarse(moments[projection.result].mean)
        offset = offset + mean
        changed[name] = {
            "weight": projection.weight / scale[:, None, None, None],
            "bias": (projection.bias - mean) / scale,
        }
        changed[consumer_name] = {
            "weight": consumer.weight * scale[None, :, None, None],
            "bias": consumer.bias + consumer.weight[:, :, 0, 0] @ offset,
        }
    return with_layers(layers, changed)


def scale_stem(layers: list[Layer], crops: list[Crop]) -> list[Layer]:
    """Scales small stem channels up so that they use the range of ReLU6; the depthwise layer after it divides."""
    stem, depthwise = layers[0], layers[1]
    largest = np.max([convolve(crop.normalised(), stem).max(axis=(1, 2)) for crop in crops], axis=0)
    alive = largest > 1e-6  # other channels are 0 after ReLU6 for every calibration crop
    gain = np.clip(6 / (STEM_MARGIN * np.where(alive, largest, 6.0)), 1.0, LARGEST_STEM_GAIN)
    gain = coarse(np.where(alive, gain, 1.0))
    changed = {
        stem.name: {"weight": stem.weight * gain[:, None, None, None], "bias": stem.bias * gain},
        depthwise.name: {"weight": depthwise.weight / gain[:, None, None, None]},
    }
    return with_layers(layers, changed)
