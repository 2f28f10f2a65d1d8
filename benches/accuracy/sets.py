"""Labelled sets of pictures, split by date where there are dates.

A set is a folder with two or more folders of pictures, one for each state. Nothing here knows any set by name.
"""

import random
import sys
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from times import times_of

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}  # what ajar reads
DAY = 86400
LONG = 3 * DAY  # beyond this only midnights cut: no day lies on both sides
LEAST_TRAINING, LEAST_TEST = 5, 3  # pictures of every state, or the set is split at random


@dataclass(frozen=True)
class Picture:
    path: Path
    state: int
    time: float | None


@dataclass(frozen=True)
class LabelledSet:
    name: str
    states: list[str]
    pictures: list[Picture]

    @cached_property
    def cut(self) -> float | None:
        """The time that leaves the smallest state as many pictures as possible on both sides, if that is enough."""
        timed = [picture for picture in self.pictures if picture.time is not None]
        of_states = [sorted(picture.time for picture in timed if picture.state == state) for state in self._numbers]
        times = sorted({time for of_state in of_states for time in of_state})
        cuts = times[1:]
        if times and times[-1] - times[0] > LONG:
            cuts = [day * DAY for day in range(int(times[0] // DAY) + 1, int(times[-1] // DAY) + 1)]

        def sides(cut: float) -> list[tuple[int, int]]:
            early = [bisect_left(of_state, cut) for of_state in of_states]
            return [(n, len(of_state) - n) for n, of_state in zip(early, of_states)]

        best = max(cuts, key=lambda cut: min(min(side) for side in sides(cut)), default=None)
        if best is None or any(train < LEAST_TRAINING or test < LEAST_TEST for train, test in sides(best)):
            return None
        return best

    @property
    def how(self) -> str:
        """How it is split, and why."""
        if self.cut is not None:
            return "date"
        if all(picture.time is None for picture in self.pictures):
            return "random (no times in names)"
        return "random (no cut leaves each state enough)"

    def split(self, seed: int) -> tuple[list[Picture], list[Picture]]:
        """Pictures to draw from, and pictures to test with. Random halves differ by seed, a date does not."""
        if self.cut is not None:
            timed = [picture for picture in self.pictures if picture.time is not None]
            return [p for p in timed if p.time < self.cut], [p for p in timed if p.time >= self.cut]
        pool, test = [], []
        for of_state in self._shuffled(self.pictures, seed):
            half = (len(of_state) + 1) // 2
            pool += of_state[:half]
            test += of_state[half:]
        return pool, test

    def draw(self, among: list[Picture], count: int, seed: int) -> list[Picture]:
        """At most `count` of each state."""
        return [picture for of_state in self._shuffled(among, seed) for picture in of_state[:count]]

    def counts(self, pictures: list[Picture]) -> list[int]:
        return [sum(picture.state == state for picture in pictures) for state in self._numbers]

    def _shuffled(self, pictures: list[Picture], seed: int) -> list[list[Picture]]:
        rng = random.Random(seed)
        of_states = [[picture for picture in pictures if picture.state == state] for state in self._numbers]
        return [rng.sample(of_state, len(of_state)) for of_state in of_states]

    @property
    def _numbers(self) -> range:
        return range(len(self.states))


def find_sets(directory: Path) -> list[LabelledSet]:
    """Every set in a directory, however deep; a folder that is a set is not searched for others."""
    return [_read(folder, directory) for folder in _set_folders(directory)]


def _set_folders(folder: Path) -> list[Path]:
    if len(_state_folders(folder)) >= 2:
        return [folder]
    return [found for inner in _folders(folder) for found in _set_folders(inner)]


def _read(folder: Path, directory: Path) -> LabelledSet:
    states = _state_folders(folder)
    found = [(path, number) for number, state in enumerate(states) for path in _picture_files(state)]
    readable = [(path, number) for path, number in found if _decodes(path)]
    name = str(folder.relative_to(directory)) if folder != directory else folder.resolve().name
    if len(readable) < len(found):
        print(f"{name}: left out {len(found) - len(readable)} files that are no whole pictures", file=sys.stderr)
    times = times_of([path.name for path, _ in readable]) or [None] * len(readable)
    pictures = [Picture(path, number, time) for (path, number), time in zip(readable, times)]
    return LabelledSet(name, [state.name for state in states], pictures)


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
        return True
    except (OSError, SyntaxError, ValueError):
        return False


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _state_folders(folder: Path) -> list[Path]:
    return [state for state in _folders(folder) if _picture_files(state)]


def _picture_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))
