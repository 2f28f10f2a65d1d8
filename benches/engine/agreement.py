"""How well whole runs of the int8 network agree between engines.

The yardstick is ONNX Runtime without graph optimisation, which calculates what the file says, in float. To engines that
round alike but not identically this network is chaotic: the line `one input value moved by one step` is the yardstick
against itself, and nothing that is not bit-identical can be expected to agree better. So this check tells a wrong
network from a right one; layerwise.py tells whether it is exact.

To compare another engine, give `agreements` one more subject: a name and a function from the u8 input to the real `mid`
and `last`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from network import Network
from pictures import quantised, real_values
from runtimes import Mode, TfLite, onnx_session

TAPS = ("mid", "last")
Maps = dict[str, np.ndarray]  # real values of each tap, [channel, row, column]
Subject = Callable[[np.ndarray], Maps]  # from the network's u8 input, [channel, row, column]


@dataclass(frozen=True)
class Agreement:
    subject: str
    feature: str  # a tap, or `gap`: `last` averaged over the map
    cosine_mean: float
    cosine_worst: float
    steps_worst: float  # largest difference of one value, in quantisation steps of the tap


def onnx_subject(model: bytes, network: Network, mode: Mode) -> Subject:
    session, entry = onnx_session(model, mode), network.activations[network.source]

    def run(picture: np.ndarray) -> Maps:
        outputs = session.run(list(TAPS), {"input": real_values(picture, entry)[None]})
        return {tap: output[0] for tap, output in zip(TAPS, outputs)}

    return run


def tflite_subject(engine: TfLite, network: Network) -> Subject:
    """`engine` has both taps as outputs, in the order of TAPS."""

    def run(picture: np.ndarray) -> Maps:
        tensors = (network.activations[network.taps[tap]] for tap in TAPS)
        return {tap: real_values(maps, t) for tap, maps, t in zip(TAPS, engine.maps(picture), tensors)}

    return run


def moved(subject: Subject) -> Subject:
    """The same, after one value in the middle of the picture has been moved by one step."""

    def run(picture: np.ndarray) -> Maps:
        picture, middle = picture.copy(), picture.shape[1] // 2
        picture[1, middle, middle] ^= 1
        return subject(picture)

    return run


def compare(name: str, feature: str, step: float, ours: list[np.ndarray], theirs: list[np.ndarray]) -> Agreement:
    a, b = (np.stack(maps).reshape(len(maps), -1) for maps in (ours, theirs))
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Agreement(name, feature, float(cosines.mean()), float(cosines.min()), float(np.abs(a - b).max() / step))


def agreements(
    yardstick: Subject, subjects: dict[str, Subject], network: Network, rgb: list[np.ndarray]
) -> list[Agreement]:
    inputs = [quantised(picture, network.activations[network.source]) for picture in rgb]

    def features(subject: Subject) -> dict[str, list[np.ndarray]]:
        runs = [subject(picture) for picture in inputs]
        return {tap: [maps[tap] for maps in runs] for tap in TAPS} | {"gap": [m["last"].mean((1, 2)) for m in runs]}

    steps = {tap: float(network.activations[network.taps[tap]].scale) for tap in TAPS}
    steps["gap"] = steps["last"]
    theirs, lines = features(yardstick), []
    for name, subject in subjects.items():
        ours = features(subject)
        lines += [compare(name, feature, steps[feature], ours[feature], theirs[feature]) for feature in steps]
    return lines
