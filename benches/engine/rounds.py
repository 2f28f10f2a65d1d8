"""Engines measured in turns, so that what else the machine does hits all of them alike.

Times of different rounds are not compared: a ratio is taken within each round, and the median of these counts.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from engines import Engine, Sample

FEWEST_RUNS = 3
LONGEST_US = 400_000  # of one engine in one round, as far as FEWEST_RUNS allows


@dataclass
class Record:
    """All rounds of one engine."""

    engine: Engine
    runs: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return statistics.median(sample.median_us for sample in self.samples) / 1000

    @property
    def min_ms(self) -> float:
        return min(sample.min_us for sample in self.samples) / 1000

    @property
    def allocations(self) -> int | None:
        """The most of any round."""
        counts = [sample.allocations for sample in self.samples if sample.allocations is not None]
        return max(counts, default=None)

    def ratios(self, other: "Record") -> list[float]:
        return [ours.median_us / theirs.median_us for ours, theirs in zip(self.samples, other.samples)]

    def ratio(self, other: "Record") -> float:
        return statistics.median(self.ratios(other))


def runs_for(engine: Engine, most: int) -> int:
    """Fewer runs for slow engines."""
    first = engine.measure(FEWEST_RUNS).median_us
    return max(FEWEST_RUNS, min(most, int(LONGEST_US / first)))


def measure(engines: list[Engine], rounds: int, runs: int, progress: Callable[[str], None]) -> list[Record]:
    records = [Record(engine, runs_for(engine, runs)) for engine in engines]
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        first = number % len(records)  # each round starts with another engine
        for record in records[first:] + records[:first]:
            record.samples.append(record.engine.measure(record.runs))
    return records
