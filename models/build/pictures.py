"""Calibration and held-out pictures: crops of photographs that registry packages ship.

`pictures.tsv` names every picture with its package, its sha256 and its use. The use belongs to the picture, so no
picture gives crops to both sides; of pairs that show the same scene (stereo pairs and the like) only one is listed.
"""

import csv
import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from network import SIDE

MEAN = np.array([0.485, 0.456, 0.406])  # of RGB in 0..1, the values the published network was trained with
DEVIATION = np.array([0.229, 0.224, 0.225])

SEED = "ajar backbone 1"
LONGEST_SIDE = 1280  # pixels; a wallpaper is first shrunk to about a camera's frame
SMALLEST_CROP = 96  # pixels
CROPS_PER_PICTURE = {"calibrate": 7, "held-out": 8}

# Every fourth crop is made grey and every fourth one dark: cameras see in infrared, and at dusk.
PLAIN, GREY, DARK, WHOLE = "plain", "grey", "dark", "whole"
LOOKS = [PLAIN, GREY, PLAIN, DARK]


@dataclass(frozen=True)
class Crop:
    """One square crop of one picture, as the camera would give it."""

    picture: str
    look: str
    pixels: np.ndarray  # uint8 [SIDE, SIDE, 3], RGB

    def normalised(self) -> np.ndarray:
        """The network's input: float64 [3, SIDE, SIDE], (x / 255 - mean) / deviation."""
        return normalise(self.pixels)


def normalise(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGB [rows, columns, 3] to float64 [3, rows, columns]."""
    return np.ascontiguousarray(((pixels / 255.0 - MEAN) / DEVIATION).transpose(2, 0, 1))


def read_crops(list_file: Path, packages: Path, use: str) -> list[Crop]:
    """All crops for one use ("calibrate" or "held-out") from unpacked packages in `packages/<package>/`."""
    with open(list_file, newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["use"] == use]
    crops = []
    for row in rows:
        path = packages / row["package"] / row["path"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != row["sha256"]:
            raise ValueError(f"{path}: sha256 is {digest}, expected {row['sha256']}; is the package another version?")
        crops += crops_of(path, f"{row['package']}/{row['path']}", CROPS_PER_PICTURE[use])
    return crops


def whole_pictures(crops: list[Crop], packages: Path) -> list[Crop]:
    """The pictures that crops came from, each whole: its largest centred square."""
    whole = []
    for name in dict.fromkeys(crop.picture for crop in crops):
        with Image.open(packages / name) as opened:
            picture = opened.convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        whole.append(Crop(name, WHOLE, np.asarray(square, dtype=np.uint8)))
    return whole


def crops_of(path: Path, name: str, count: int) -> list[Crop]:
    """Random square crops of one picture, side log-uniform; the same ones on every run and machine."""
    dice = random.Random(f"{SEED} {name}")
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    largest = min(picture.size)
    smallest = min(SMALLEST_CROP, largest)
    crops = []
    for i in range(count):
        side = round(smallest * (largest / smallest) ** dice.random())
        left = round(dice.random() * (picture.width - side))
        top = round(dice.random() * (picture.height - side))
        crop = picture.crop((left, top, left + side, top + side))
        crop = crop.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        look = LOOKS[i % len(LOOKS)]
        if look == GREY:
            crop = crop.convert("L").convert("RGB")
        if look == DARK:
            quarters = 1 + int(dice.random() * 2)  # a quarter or a half of the light
            crop = crop.point([value * quarters // 4 for value in range(256)] * 3)
        crops.append(Crop(name, look, np.asarray(crop, dtype=np.uint8)))
    return crops
