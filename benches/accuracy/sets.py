"""Labelled sets of pictures, split by date where there are dates.

A set is a folder with two or more folders of pictures, one for each state. Nothing here knows any set by name.
"""

import random
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
DAY = 86400
LONG = 3 * DAY  # beyond this only midnights cut: no day lies on both sides
LEAST_TRAINING, LEAST_TEST = 5, 3  # pictures of every state, or the set is split at random
TIMES = [
    re.compile(r"(?<!\d)(\d{4})[-_:.]?(\d\d)[-_:.]?(\d\d)[-_T :]?(\d\d)[-_:.]?(\d\d)(?:[-_:.]?(\d\d))?(?!\d)"),
]
EPOCH = re.compile(r"(?<!\d)(1\d{9})(?:\d{3})?(?!\d)")
SECONDS = re.compile(r"(?<!\d)(\d{1,5}\.\d+)(?!\d)")  # of a video


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

    def split(self, draw: int) -> tuple[list[Picture], list[Picture], str]:
        """Pictures to train on, pictures to test with, and how they were split. Random splits differ by draw."""
        cut = self._cut()
        if cut is None:
            half = random.Random(draw)
            early = [half.random() < 0.5 for _ in self.pictures]
            how = "random"
        else:
            early = [picture.time < cut for picture in self.pictures]
            how = "date"
        train = [picture for picture, is_early in zip(self.pictures, early) if is_early]
        test = [picture for picture, is_early in zip(self.pictures, early) if not is_early]
        return train, test, how

    def _cut(self) -> float | None:
        """The time that leaves the smallest state as many pictures as possible on both sides."""
        if any(picture.time is None for picture in self.pictures):
            return None
        times = sorted({picture.time for picture in self.pictures})
        cuts = times[1:]
        if times[-1] - times[0] > LONG:
            cuts = [day * DAY for day in range(int(times[0] // DAY) + 1, int(times[-1] // DAY) + 1)]

        def sides(cut: float) -> list[tuple[int, int]]:
            of_state = [[p.time < cut for p in self.pictures if p.state == s] for s in range(len(self.states))]
            return [(sum(early), len(early) - sum(early)) for early in of_state]

        best = max(cuts, key=lambda cut: min(min(side) for side in sides(cut)), default=None)
        if best is None or any(t < LEAST_TRAINING or u < LEAST_TEST for t, u in sides(best)):
            return None
        return best


def time_of(name: str) -> float | None:
    """Seconds, from a date and time, from seconds since 1970, or from seconds of a video in a file's name."""
    for pattern in TIMES:
        for found in pattern.finditer(name):
            try:
                numbers = [int(group or 0) for group in found.groups()]
                return datetime(*numbers, tzinfo=timezone.utc).timestamp()
            except ValueError:
                continue
    if found := EPOCH.search(name):
        return float(found.group(1))
    if found := SECONDS.search(name):
        return float(found.group(1))
    return None


def pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())


def find_sets(directory: Path) -> list[LabelledSet]:
    """Every set in a directory, by name."""
    sets = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        states = [state for state in sorted(folder.iterdir()) if state.is_dir() and pictures_in(state)]
        if len(states) < 2:
            continue
        pictures = [
            Picture(path, number, time_of(path.name)) for number, state in enumerate(states) for path in pictures_in(state)
        ]
        sets.append(LabelledSet(folder.name, [state.name for state in states], pictures))
    return sets


def draw(pool: list[Picture], states: int, count: int, seed: int) -> list[Picture]:
    """At most `count` pictures of each state."""
    rng = random.Random(seed)
    chosen = []
    for state in range(states):
        of_state = [picture for picture in pool if picture.state == state]
        chosen += rng.sample(of_state, min(count, len(of_state)))
    return chosen
