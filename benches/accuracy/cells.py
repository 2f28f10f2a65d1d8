"""One set at one number of labels: every recipe on the same draws."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from frigate import CORRECTED, CORRECTED_128, FRIGATE, Backbone, train_and_test
from product import Ajar
from scores import auroc, balanced_error, calibration_error, floor
from sets import LabelledSet, Picture
from strange import half_covered, other_scenes

MOST_TEST = 300  # pictures of a state
UNSEEN_AT = 25  # labels at which strange pictures are tried
DRAWS_PER_SEED = 1000


@dataclass
class Cell:
    """What was measured; lists have one value for each draw."""

    name: str
    split: str
    labels: int
    train: list[int] = field(default_factory=list)  # pictures of each state, where a state has fewer than `labels`
    test: list[int] = field(default_factory=list)  # pictures of each state
    floor: float = 0.0
    errors: dict[str, list[float]] = field(default_factory=dict)
    calibration: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    embedding: dict[str, float] = field(default_factory=dict)  # seconds for one picture, of the float recipes
    blocks: list[str] = field(default_factory=list)  # of features, that ajar chose
    unknown: list[float] = field(default_factory=list)  # share of test pictures that ajar publishes no state for
    disagreement: float = 0.0  # between ajar evaluate's balanced error and ours, the largest
    other_scenes: list[float] = field(default_factory=list)  # AUROC
    half_covered: list[float] = field(default_factory=list)  # AUROC
    flagged: dict[str, list[float]] = field(default_factory=dict)  # share with a distance above 1

    def add(self, recipe: str, probabilities: np.ndarray, truth: np.ndarray, seconds: float) -> None:
        self.errors.setdefault(recipe, []).append(balanced_error(probabilities, truth))
        self.calibration.setdefault(recipe, []).append(calibration_error(probabilities, truth))
        self.seconds.setdefault(recipe, []).append(seconds)


@dataclass(frozen=True)
class Bench:
    """What all cells share."""

    sets: list[LabelledSet]
    backbone: Backbone
    ajar: Ajar
    covered: Path  # directory for half-covered pictures
    seed: int

    def measure(self, of: LabelledSet, labels: int, draws: int) -> Cell:
        cell = Cell(of.name, of.how, labels)
        for number in range(draws):
            seed = self.seed * DRAWS_PER_SEED + number
            pool, later = of.split(seed)
            train, test = of.draw(pool, labels, seed), of.draw(later, MOST_TEST, seed=0)
            truth = np.array([picture.state for picture in test])
            cell.floor = floor(truth)
            cell.train, cell.test = of.counts(train), of.counts(test)
            self._float_recipes(cell, of, train, test, seed)
            if number == 0:
                # What it costs a user the first time.
                self.ajar.forget("cold")
                cell.seconds["ajar, first time"] = [self.ajar.train(train, of.states, seed)[1]]
                self.ajar.use("warm")
            # The first fills the cache with this draw's pictures, the second is what a repeated training costs.
            self.ajar.train(train, of.states, seed)
            report, seconds = self.ajar.train(train, of.states, seed)
            said = self.ajar.evaluate(test, of.states)
            cell.add("ajar", said.probabilities, truth, seconds)
            cell.blocks.append("+".join(report["blocks"]))
            cell.unknown.append(said.unknown)
            cell.disagreement = max(cell.disagreement, abs(said.balanced_error - cell.errors["ajar"][-1]))
            if labels == UNSEEN_AT:
                self._strange_pictures(cell, of, seed, test, said.distances)
        return cell

    def _float_recipes(self, cell: Cell, of: LabelledSet, train: list[Picture], test: list[Picture], seed: int) -> None:
        truth = np.array([picture.state for picture in test])
        for recipe in (FRIGATE, CORRECTED, CORRECTED_128):
            if recipe.name not in cell.embedding:
                cell.embedding[recipe.name] = self.backbone.seconds_each(recipe, train)
            trained = train_and_test(self.backbone, recipe, train, test, len(of.states), seed)
            seconds = trained.seconds + trained.used * cell.embedding[recipe.name]
            cell.add(recipe.name, trained.probabilities, truth, seconds)

    def _strange_pictures(self, cell: Cell, of: LabelledSet, seed: int, test: list[Picture], own: np.ndarray) -> None:
        others = other_scenes(self.sets, of)
        # Where the test pictures differ by draw, so do the covered ones.
        place = self.covered / of.name / ("all" if of.cut is not None else str(seed))
        distances = {
            "own": own,
            "covered": self.ajar.classify(half_covered(test, others, place), of.states).distances,
        }
        cell.half_covered.append(auroc(own, distances["covered"]))
        if others:
            distances["other"] = self.ajar.classify(others, of.states).distances
            cell.other_scenes.append(auroc(own, distances["other"]))
        for kind, of_kind in distances.items():
            cell.flagged.setdefault(kind, []).append(float((of_kind > 1).mean()))
