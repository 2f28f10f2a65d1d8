"""Pictures that a model never saw: other scenes, and its own scene half covered."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

from sets import LabelledSet, Picture

OTHERS = 100  # pictures of other sets, as many of each
COVERED = 100
SHADES = [(128, 128, 128), (0, 0, 0), (255, 255, 255)]
KINDS = len(SHADES) + 3  # and a colour, noise, a piece of another set's picture


def other_scenes(sets: list[LabelledSet], own: LabelledSet) -> list[Path]:
    others = [other for other in sets if other is not own]
    paths = []
    for other in others:
        each = min(max(1, OTHERS // len(others)), len(other.pictures))
        paths += [picture.path for picture in random.Random(1).sample(other.pictures, each)]
    return paths


def half_covered(test: list[Picture], others: list[Path], place: Path) -> list[Path]:
    """Copies of test pictures with the left, right, upper or lower half behind something."""
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, picture in enumerate(random.Random(2).sample(test, min(COVERED, len(test)))):
        path = place / f"{number}.png"
        if not path.exists():
            _cover(Image.open(picture.path).convert("RGB"), number, others).save(path)
        paths.append(path)
    return paths


def _cover(picture: Image.Image, number: int, others: list[Path]) -> Image.Image:
    rng = random.Random(number)
    width, height = picture.size
    x, y = max(1, width // 2), max(1, height // 2)
    halves = [(0, 0, x, height), (width - x, 0, width, height), (0, 0, width, y), (0, height - y, width, height)]
    left, top, right, bottom = rng.choice(halves)
    picture.paste(_obstruction(number % KINDS, (right - left, bottom - top), rng, others), (left, top))
    return picture


def _obstruction(kind: int, size: tuple[int, int], rng: random.Random, others: list[Path]) -> Image.Image:
    if kind < len(SHADES):
        return Image.new("RGB", size, SHADES[kind])
    if kind == len(SHADES) + 1:
        noise = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (size[1], size[0], 3), np.uint8)
        return Image.fromarray(noise)
    if kind == len(SHADES) + 2 and others:
        other = Image.open(rng.choice(others)).convert("RGB")
        # Of the same shape, as large as it gets.
        scale = min(other.width / size[0], other.height / size[1])
        width, height = max(1, int(scale * size[0])), max(1, int(scale * size[1]))
        left, top = rng.randint(0, other.width - width), rng.randint(0, other.height - height)
        return other.crop((left, top, left + width, top + height)).resize(size)
    return Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
