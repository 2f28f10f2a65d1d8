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

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
UNUSED = 0.2  # of each state: what Keras keeps for a validation whose result Frigate does not look at


@dataclass(frozen=True)
class Recipe:
    name: str
    resize: Image.Resampling
    side: int
    normalise: bool
    unused: float


FRIGATE = Recipe("frigate", Image.Resampling.NEAREST, side=224, normalise=False, unused=UNUSED)
CORRECTED = Recipe("corrected", Image.Resampling.BOX, side=224, normalise=True, unused=0.0)
CORRECTED_128 = Recipe("corrected, 128", Image.Resampling.BOX, side=128, normalise=True, unused=0.0)


class Backbone:
    """The float backbone up to the global average; features are kept by content and recipe."""

    def __init__(self, path: Path, kept: Path):
        model = onnx.load(path)
        for value in [*model.graph.input, *model.graph.output]:
            for axis, dimension in zip("hw", value.type.tensor_type.shape.dim[2:]):
                dimension.dim_param = f"{value.name}_{axis}"
        del model.graph.value_info[:]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self._kept = kept
        self._kept.mkdir(parents=True, exist_ok=True)
        self._memory: dict[tuple[str, Path], np.ndarray] = {}

    def features(self, recipe: Recipe, path: Path) -> np.ndarray:
        key = (recipe.name, path)
        if key not in self._memory:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            file = self._kept / f"{recipe.name.replace(', ', '-')}-{content[:40]}.npy"
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


def train_and_test(
    backbone: Backbone, recipe: Recipe, train: list[Picture], test: list[Picture], states: int, seed: int
) -> tuple[np.ndarray, float]:
    """Probabilities of the test pictures, and the seconds that training the head took."""
    used = []
    for state in range(states):
        # Newest first, as in Frigate's folders' names; without times by name.
        of_state = sorted((p for p in train if p.state == state), key=lambda p: (p.time or 0.0, p.path.name), reverse=True)
        used += of_state[: max(1, round(len(of_state) * (1 - recipe.unused)))]
    x = np.stack([backbone.features(recipe, picture.path) for picture in used])
    labels = np.array([picture.state for picture in used])
    start = time.perf_counter()
    weights = dense.train(x, labels, states, seed)
    seconds = time.perf_counter() - start
    return dense.probabilities(weights, np.stack([backbone.features(recipe, p.path) for p in test])), seconds
