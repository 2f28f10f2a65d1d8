"""What is timed: a function of this process, or the `ajar` program. Times are CPU time of one thread."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WARM_UP = 3  # runs before those that count
OTHER_THREADS = 1.1  # CPU time of the process to that of the thread, from which on other threads must have worked


class EngineError(Exception):
    """An engine cannot be run, or is not what the bench takes it for."""


@dataclass(frozen=True)
class Sample:
    """One engine in one round."""

    median_us: float
    min_us: float
    allocations: int | None = None  # for each run; only Ajar's program counts them
    front_us: float | None = None  # from picture to input tensor; only Ajar's program measures it


class Engine(Protocol):
    name: str
    path: str
    stop_at: str

    def measure(self, runs: int) -> Sample: ...


@dataclass(frozen=True)
class InProcess:
    """A call whose whole work happens on the calling thread, which `measure` makes sure of."""

    name: str
    path: str
    stop_at: str
    call: Callable[[], object]

    def measure(self, runs: int) -> Sample:
        for _ in range(WARM_UP):
            self.call()
        times, process = [], time.process_time_ns()
        for _ in range(runs):
            start = time.thread_time_ns()
            self.call()
            times.append((time.thread_time_ns() - start) / 1000)
        process_us = (time.process_time_ns() - process) / 1000
        if process_us > OTHER_THREADS * sum(times) + 1000:
            raise EngineError(
                f"{self.name}: the process used {process_us:.0f} us of CPU, its calling thread {sum(times):.0f} us; "
                "it must run in one thread"
            )
        return Sample(statistics.median(times), min(times))


@dataclass(frozen=True)
class Ajar:
    """`ajar engine bench`, which warms up and measures by itself."""

    name: str
    path: str
    stop_at: str
    program: Path
    onnx: Path | None = None

    def measure(self, runs: int) -> Sample:
        arguments = ["bench", "--json", "--path", self.path, "--stop-at", self.stop_at, "--runs", str(runs)]
        if self.onnx:
            arguments += ["--onnx", str(self.onnx)]
        told = ajar_engine(self.program, arguments, ("cpu_us_median", "cpu_us_min", "allocations"))
        asked = {"path": self.path, "stop_at": self.stop_at, "runs": runs}
        if {key: told.get(key) for key in asked} != asked:
            raise EngineError(f"{self.program} engine bench: asked for {asked}, it says it ran {told}")
        front = told.get("front_cpu_us_median")
        return Sample(told["cpu_us_median"], told["cpu_us_min"], told["allocations"], front)


def ajar_engine(program: Path, arguments: list[str], needed: tuple[str, ...]) -> dict:
    """The JSON object that `ajar engine ...` prints; it has the keys `needed`."""
    command = " ".join([str(program), "engine", *arguments])
    try:
        ended = subprocess.run([program, "engine", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise EngineError(f"{program}: {error.strerror}; build it with `make build`") from None
    if ended.returncode:
        raise EngineError(f"{command}: exit code {ended.returncode}: {ended.stderr.strip() or 'no message'}")
    try:
        told = json.loads(ended.stdout)
    except json.JSONDecodeError:
        raise EngineError(f"{command}: printed no JSON: {ended.stdout[:200]!r}") from None
    missing = [key for key in needed if key not in told]
    if missing:
        raise EngineError(f"{command}: its answer has no {', '.join(missing)}: {ended.stdout.strip()}")
    return told
