"""How close the int8 file is to the float file, on crops of pictures that calibration never saw."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from pictures import Crop


@dataclass(frozen=True)
class Closeness:
    """Cosine between the same feature of both files, over all crops."""

    feature: str
    look: str  # "all", or only the crops of one look
    count: int
    mean: float
    worst: float
    centred_mean: float  # after taking away the float file's mean feature: what tells pictures apart
    centred_worst: float


def run(model: Path, crops: list[Crop]) -> dict[str, np.ndarray]:
    """Features of every crop, [crops, values] each: `gap`, `mid` and `last` flattened.

    Graph optimisation is off, so the file means what it says: on some CPUs the optimised int8 kernels of the runtime
    saturate sums of products.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    taps = [session.run(["mid", "last"], {"input": crop.normalised()[None].astype(np.float32)}) for crop in crops]
    mid = np.concatenate([mid for mid, _ in taps])
    last = np.concatenate([last for _, last in taps])
    return {
        "gap": last.mean(axis=(2, 3)),
        "mid": mid.reshape(len(crops), -1),
        "last": last.reshape(len(crops), -1),
    }


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row of `a` to the same row of `b`."""
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def compare(float_file: Path, int8_file: Path, crops: list[Crop]) -> list[Closeness]:
    """One line of the model card's table for each feature."""
    exact, rounded = run(float_file, crops), run(int8_file, crops)
    looks = np.array([crop.look for crop in crops])
    groups = {look: looks == look for look in dict.fromkeys(looks)}
    if len(groups) > 1:
        groups["all"] = looks != ""
    lines = []
    for feature, a in exact.items():
        b, centre = rounded[feature], a.mean(axis=0)
        plain, centred = cosines(a, b), cosines(a - centre, b - centre)
        for look, chosen in groups.items():
            p, c = plain[chosen], centred[chosen]
            lines.append(Closeness(feature, look, len(p), p.mean(), p.min(), c.mean(), c.min()))
    return lines
