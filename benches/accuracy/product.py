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
    """What the model says of each of some pictures, in their order."""

    probabilities: np.ndarray
    distances: np.ndarray  # above 1: unseen


@dataclass(frozen=True)
class Evaluated(Said):
    balanced_error: float  # by ajar evaluate's own account
    unknown: float  # share that it publishes no state for


class Ajar:
    def __init__(self, program: Path, work: Path):
        self._program = program
        self._work = work
        self._bundle = work / "bench.ajb"
        self._key = work / "key"
        self._environment = dict(os.environ, XDG_CONFIG_HOME=str(work / "config"))
        self.forget("warm")
        for kept in (self._key, work / "config"):
            shutil.rmtree(kept, ignore_errors=True)
        self._run("key", "new", "--out", self._key, "--no-password")

    def forget(self, cache: str) -> None:
        """Uses an empty embedding cache of this name from now on."""
        shutil.rmtree(self._work / "cache" / cache, ignore_errors=True)
        self.use(cache)

    def use(self, cache: str) -> None:
        self._environment["XDG_CACHE_HOME"] = str(self._work / "cache" / cache)

    def train(self, pictures: list[Picture], states: list[str], seed: int) -> tuple[dict, float]:
        """Trains on these pictures; returns the report, and the seconds that the whole command took."""
        dataset, report = self._dataset(pictures, states), self._work / "report.json"
        for old in (self._bundle, report):  # or a better bundle would stay
            old.unlink(missing_ok=True)
        start = time.perf_counter()
        self._run(
            "train", "--name", "bench", "--dataset", dataset, "--key", self._key, "--out", self._bundle,
            "--seed", seed, "--report", report,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        return json.loads(report.read_text()), seconds

    def evaluate(self, pictures: list[Picture], states: list[str]) -> Evaluated:
        dataset = self._dataset(pictures, states)
        said = json.loads(self._run("evaluate", "--json", *self._verified(), "--dataset", dataset))
        lines = {(line["truth"], Path(line["picture"]).name): line for line in said["pictures"]}
        ordered = [lines[states[picture.state], picture.path.name] for picture in pictures]
        return Evaluated(*_arrays(ordered, states), said["balanced_error"], said["unknown_rate"])

    def classify(self, paths: list[Path], states: list[str]) -> Said:
        lines: list[dict] = []
        for start in range(0, len(paths), AT_ONCE):
            out = self._run("classify", "--json", *self._verified(), *paths[start : start + AT_ONCE])
            lines += [json.loads(line) for line in out.splitlines()]
        if [line["picture"] for line in lines] != list(map(str, paths)):
            raise SystemExit("bench-accuracy: ajar classify did not answer for each picture in turn")
        return Said(*_arrays(lines, states))

    def _dataset(self, pictures: list[Picture], states: list[str]) -> Path:
        """DIR/STATE/NAME as links: names and file times, which training looks at, stay what they are."""
        dataset = self._work / "dataset"
        shutil.rmtree(dataset, ignore_errors=True)
        for state in states:
            (dataset / state).mkdir(parents=True)
        for picture in pictures:
            (dataset / states[picture.state] / picture.path.name).symlink_to(picture.path.resolve())
        return dataset

    def _verified(self) -> list[object]:
        return ["--bundle", self._bundle, "--trusted-keys", self._key]

    def _run(self, *arguments: object) -> str:
        command = [str(self._program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        if done.returncode != 0:
            raise SystemExit(f"bench-accuracy: {' '.join(command[:2])} failed:\n{done.stderr}")
        return done.stdout


def _arrays(lines: list[dict], states: list[str]) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.array([[line["probabilities"][state] for state in states] for line in lines])
    # A model without the unseen test has no distances, and finds nothing strange.
    return probabilities, np.array([line["distance"] or 0.0 for line in lines])
