"""Frigate's recipe on Ajar's backbone, and the same with its mistakes corrected.

Frigate: 224 x 224 by the nearest pixel, colours as 0..1 where the backbone was trained on normalised ones, int8 input
(which is exact for pixels), a global average, dense 128, and a fifth of each state that is never trained on.
Corrected: an averaging resize, the colours the backbone expects, every picture. The same at 128 x 128, what Ajar looks
at, tells what the size is worth.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image

import dense
from sets import Picture

THREADS = 2
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
UNUSED = 0.2  # of each state: what Keras keeps for a validation whose result Frigate does not look at
TIMED = 20  # pictures whose embedding is timed


@dataclass(frozen=True)
class Recipe:
    name: str
    resize: Image.Resampling
    side: int
    normalise: bool
    unused: float


FRIGATE = Recipe("frigate", Image.Resampling.NEAREST, side=224, normalise=False, unused=UNUSED)
# Pillow's bilinear averages over all pixels when it makes a picture smaller.
CORRECTED = Recipe("corrected", Image.Resampling.BILINEAR, side=224, normalise=True, unused=0.0)
CORRECTED_128 = Recipe("corrected, 128", Image.Resampling.BILINEAR, side=128, normalise=True, unused=0.0)


class Backbone:
    """The float backbone up to the global average; features are kept by backbone, recipe and content."""

    def __init__(self, path: Path, kept: Path):
        model = onnx.load(path)
        # Fixed in the file; nothing in the network depends on it.
        for value in [*model.graph.input, *model.graph.output]:
            for axis, dimension in zip("hw", value.type.tensor_type.shape.dim[2:]):
                dimension.dim_param = f"{value.name}_{axis}"
        del model.graph.value_info[:]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = THREADS
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self._kept = kept / hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self._kept.mkdir(parents=True, exist_ok=True)
        self._memory: dict[tuple[Recipe, Path], np.ndarray] = {}

    def features(self, recipe: Recipe, pictures: list[Picture]) -> np.ndarray:
        return np.stack([self._one(recipe, picture.path) for picture in pictures])

    def seconds_each(self, recipe: Recipe, pictures: list[Picture]) -> float:
        """What embedding one of these pictures takes, decoding included."""
        some = pictures[:TIMED]
        self._run(recipe, some[0].path)
        start = time.perf_counter()
        for picture in some:
            self._run(recipe, picture.path)
        return (time.perf_counter() - start) / len(some)

    def _one(self, recipe: Recipe, path: Path) -> np.ndarray:
        key = (recipe, path)
        if key not in self._memory:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            file = self._kept / f"{content[:40]}-{recipe.side}-{recipe.resize.name}-{recipe.normalise}.npy".lower()
            if not file.exists():
                np.save(file, self._run(recipe, path))
            self._memory[key] = np.load(file)
        return self._memory[key]

    def _run(self, recipe: Recipe, path: Path) -> np.ndarray:
        picture = Image.open(path).convert("RGB").resize((recipe.side, recipe.side), recipe.resize)
        values = np.asarray(picture, np.float32) / 255
        if recipe.normalise:
            values = (values - MEAN) / STD
        (last,) = self._session.run(["last"], {"input": values.transpose(2, 0, 1)[None]})
        return last[0].mean((1, 2))


@dataclass(frozen=True)
class Trained:
    probabilities: np.ndarray  # of the test pictures
    seconds: float  # of the head alone
    used: int


def train_and_test(
    backbone: Backbone, recipe: Recipe, train: list[Picture], test: list[Picture], states: int, seed: int
) -> Trained:
    used = [picture for state in range(states) for picture in _used([p for p in train if p.state == state], recipe)]
    features = backbone.features(recipe, used)
    labels = np.array([picture.state for picture in used])
    start = time.perf_counter()
    weights = dense.train(features, labels, states, seed)
    seconds = time.perf_counter() - start
    return Trained(dense.probabilities(weights, backbone.features(recipe, test)), seconds, len(used))


def _used(of_state: list[Picture], recipe: Recipe) -> list[Picture]:
    """Without the oldest, as the times in Frigate's file names order them; without times by name."""
    ordered = sorted(of_state, key=lambda picture: (picture.time or 0.0, picture.path.name))
    return ordered[int(recipe.unused * len(ordered)) :]
