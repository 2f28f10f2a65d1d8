"""Pictures that a model never saw: other scenes, and its own scene half covered."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

from sets import LabelledSet, Picture

OTHERS = 100  # pictures of other sets, as many of each
COVERED = 100


def other_scenes(sets: list[LabelledSet], own: LabelledSet) -> list[Path]:
    others = [other for other in sets if other is not own]
    paths = []
    for other in others:
        some = random.Random(1).sample(other.pictures, min(OTHERS // len(others), len(other.pictures)))
        paths += [picture.path for picture in some]
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
    halves = [(0, 0, width // 2, height), (width // 2, 0, width, height), (0, 0, width, height // 2), (0, height // 2, width, height)]
    left, top, right, bottom = rng.choice(halves)
    size = (max(1, right - left), max(1, bottom - top))
    kind = number % 5
    if kind == 0:
        shade = rng.choice([(0, 0, 0), (128, 128, 128), (255, 255, 255)])
        patch = Image.new("RGB", size, shade)
    elif kind == 1:
        patch = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    elif kind == 2:
        noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
        patch = Image.fromarray(noise)
    elif others:
        patch = Image.open(rng.choice(others)).convert("RGB").resize(size)
    else:
        patch = Image.new("RGB", size, (90, 70, 50))
    picture.paste(patch, (left, top))
    return picture
