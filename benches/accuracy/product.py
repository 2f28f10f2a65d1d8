"""Ajar as its users have it: the program, its bundle, its JSON."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sets import Picture

AT_ONCE = 400  # pictures on one command line


@dataclass(frozen=True)
class Said:
    """What the model says of each of some pictures."""

    probabilities: np.ndarray
    distances: np.ndarray


class Ajar:
    def __init__(self, program: Path, work: Path):
        self._program = program
        self._work = work
        self._key = work / "key"
        self._environment = dict(os.environ, XDG_CONFIG_HOME=str(work / "config"))
        self.forget("warm")
        if not self._key.exists():
            self._run("key", "new", "--out", self._key, "--no-password")

    def forget(self, cache: str) -> None:
        """Uses an empty embedding cache of this name from now on."""
        place = self._work / "caches" / cache
        shutil.rmtree(place, ignore_errors=True)
        self.use(cache)

    def use(self, cache: str) -> None:
        self._environment["XDG_CACHE_HOME"] = str(self._work / "caches" / cache)

    def train(self, pictures: list[Picture], states: list[str], seed: int) -> tuple[dict, float]:
        """Trains on these pictures; returns the report, and the seconds that the whole command took."""
        dataset = self._work / "dataset"
        shutil.rmtree(dataset, ignore_errors=True)
        for state in states:
            (dataset / state).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            # Names may hold the time; where two are the same, a number tells them apart.
            link = dataset / states[picture.state] / picture.path.name
            link = link if not link.exists() else link.with_name(f"{number}-{picture.path.name}")
            link.symlink_to(picture.path.resolve())
        report = self._work / "report.json"
        self.bundle.unlink(missing_ok=True)
        start = time.perf_counter()
        self._run(
            "train", "--name", "bench", "--dataset", dataset, "--key", self._key, "--out", self.bundle,
            "--seed", seed, "--report", report,
        )  # fmt: skip
        return json.loads(report.read_text()), time.perf_counter() - start

    @property
    def bundle(self) -> Path:
        return self._work / "bench.ajb"

    def classify(self, paths: list[Path], states: list[str]) -> Said:
        lines: list[dict] = []
        for start in range(0, len(paths), AT_ONCE):
            out = self._run("classify", "--json", "--bundle", self.bundle, *paths[start : start + AT_ONCE])
            lines += [json.loads(line) for line in out.splitlines()]
        probabilities = np.array([[line["probabilities"][state] for state in states] for line in lines])
        return Said(probabilities, np.array([line["distance"] or 0.0 for line in lines]))

    def _run(self, *arguments) -> str:
        command = [str(self._program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        if done.returncode != 0:
            raise SystemExit(f"bench-accuracy: {' '.join(command[:2])} failed:\n{done.stderr}")
        return done.stdout
