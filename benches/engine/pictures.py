"""Pictures to compare engines on: crops of real ones where the shared data is there, made-up ones elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from network import Activation

SEED = 20
COUNT = 48
FOLDERS = ("sets", "pklot_full_frames", "roofcam_timeline_full_frames")
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class Pictures:
    origin: str
    rgb: list[np.ndarray]  # u8, [row, column, channel]


def real_crops(data: Path, side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A random square of each of COUNT random pictures. An empty list where there are no pictures."""
    files = sorted(file for folder in FOLDERS for file in (data / folder).rglob("*.jpg"))
    crops = []
    for at in rng.permutation(len(files))[:COUNT]:
        with Image.open(files[at]) as picture:
            edge = int(rng.integers(min(picture.size) // 2, min(picture.size) + 1))
            left, top = (int(rng.integers(0, size - edge + 1)) for size in picture.size)
            crop = picture.convert("RGB").crop((left, top, left + edge, top + edge))
        crops.append(np.asarray(crop.resize((side, side), Image.Resampling.BILINEAR)))
    return crops


def made_up(side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Noise of several sizes over a gradient, each picture with its own light and contrast."""
    pictures = []
    for _ in range(COUNT):
        rows, columns = np.mgrid[0:side, 0:side] / side
        slope = rng.normal(size=(2, 3))
        picture = rows[..., None] * slope[0] + columns[..., None] * slope[1]
        for cells in (2, 4, 8, 16, 32):
            noise = rng.normal(size=(3, cells, cells)).astype(np.float32) / np.sqrt(cells)
            layers = [Image.fromarray(layer).resize((side, side), Image.Resampling.BICUBIC) for layer in noise]
            picture = picture + np.stack([np.asarray(layer) for layer in layers], axis=-1)
        light, contrast = rng.uniform(60, 190), rng.uniform(15, 60)
        pictures.append(np.clip(light + contrast * picture, 0, 255).astype(np.uint8))
    return pictures


def pictures(data: Path, side: int) -> Pictures:
    rng = np.random.default_rng(SEED)
    crops = real_crops(data, side, rng)
    if crops:
        return Pictures(f"{len(crops)} random crops of the shared pictures", crops)
    return Pictures(f"{COUNT} made-up pictures (no pictures in {data})", made_up(side, rng))


def quantised(rgb: np.ndarray, entry: Activation) -> np.ndarray:
    """The network's u8 input of a picture, [channel, row, column]."""
    real = (rgb / np.float32(255) - MEAN) / DEVIATION
    return np.clip(np.rint(real / entry.scale) + entry.zero_point, 0, 255).astype(np.uint8).transpose(2, 0, 1)


def real_values(values: np.ndarray, tensor: Activation) -> np.ndarray:
    """What u8 values stand for."""
    return (values.astype(np.float32) - tensor.zero_point) * tensor.scale
