"""Ajar's training beside Frigate's recipe: the same pictures, the same backbone, later days. See README.md."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from frigate import CORRECTED, CORRECTED_128, FRIGATE, Backbone, train_and_test
from product import Ajar
from report import last_line, tables
from scores import auroc, balanced_error, calibration_error, floor
from sets import LabelledSet, Picture, draw, find_sets
from strange import half_covered, other_scenes

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = Path(__file__).resolve().parent / "work"
SHARED_SETS = REPOSITORY.parent / "shared" / "data" / "sets"
BACKBONE = REPOSITORY / "models" / "mobilenetv2-128.onnx"
MOST_TEST = 200  # pictures of a state
UNSEEN_AT = 25  # labels at which strange pictures are tried


@dataclass
class Cell:
    """One set at one number of labels: a value for each draw."""

    name: str
    split: str
    labels: int
    test_pictures: int = 0
    floor: float = 0.0
    errors: dict[str, list[float]] = field(default_factory=dict)
    calibration: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    other_scenes: list[float] = field(default_factory=list)
    half_covered: list[float] = field(default_factory=list)
    flagged: dict[str, list[float]] = field(default_factory=dict)

    def add(self, recipe: str, probabilities: np.ndarray, truth: np.ndarray, seconds: float) -> None:
        self.errors.setdefault(recipe, []).append(balanced_error(probabilities, truth))
        self.calibration.setdefault(recipe, []).append(calibration_error(probabilities, truth))
        self.seconds.setdefault(recipe, []).append(seconds)


def measure(of: LabelledSet, labels: int, draws: int, sets: list[LabelledSet], backbone: Backbone, ajar: Ajar) -> Cell:
    cell = Cell(of.name, of.split(0)[2], labels)
    for number in range(draws):
        pool, later, _ = of.split(number)
        train = draw(pool, len(of.states), labels, seed=number)
        test = draw(later, len(of.states), MOST_TEST, seed=0)
        truth = np.array([picture.state for picture in test])
        cell.test_pictures, cell.floor = len(test), floor(truth)
        for recipe in (FRIGATE, CORRECTED, CORRECTED_128):
            said, seconds = train_and_test(backbone, recipe, train, test, len(of.states), number)
            cell.add(recipe.name, said, truth, seconds)
        if number == 0:
            # What it costs a user the first time.
            ajar.forget("cold")
            cell.seconds["ajar, first time"] = [ajar.train(train, of.states, number)[1]]
            ajar.use("warm")
        report, seconds = ajar.train(train, of.states, number)
        ours = ajar.classify([picture.path for picture in test], of.states)
        cell.add("ajar", ours.probabilities, truth, seconds)
        cell.blocks.append("+".join(report["blocks"]))
        if labels == UNSEEN_AT:
            strange_pictures(cell, of, number, test, sets, ajar, ours.distances)
    return cell


def strange_pictures(
    cell: Cell, of: LabelledSet, number: int, test: list[Picture], sets: list[LabelledSet], ajar: Ajar, own: np.ndarray
) -> None:
    others = other_scenes(sets, of)
    # Where the test pictures differ by draw, so do the covered ones.
    place = WORK / "covered" / of.name / (str(number) if cell.split == "random" else "all")
    kinds = {"own": own, "covered": ajar.classify(half_covered(test, others, place), of.states).distances}
    cell.half_covered.append(auroc(own, kinds["covered"]))
    if others:
        kinds["other"] = ajar.classify(others, of.states).distances
        cell.other_scenes.append(auroc(own, kinds["other"]))
    for kind, distances in kinds.items():
        cell.flagged.setdefault(kind, []).append(float((distances > 1).mean()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED_SETS, help="directory of sets, each a folder of states")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="only these sets")
    parser.add_argument("--counts", type=lambda text: [int(n) for n in text.split(",")], default=[5, 10, 25, 50])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="10 and 25 labels, 3 draws")
    parser.add_argument("--ajar", type=Path, default=REPOSITORY / "target" / "release" / "ajar")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.counts, chosen.draws = [10, 25], 3
    return chosen


def main() -> None:
    chosen = arguments()
    if not chosen.data.is_dir():
        print("skipped: no shared data" if chosen.data == SHARED_SETS else f"skipped: no directory {chosen.data}")
        return
    if not chosen.ajar.exists():
        sys.exit(f"bench-accuracy: no program {chosen.ajar}; make bench-accuracy builds it")
    sets = find_sets(chosen.data)
    measured = [one for one in sets if chosen.sets is None or one.name in chosen.sets]
    if not measured:
        sys.exit(f"bench-accuracy: no set in {chosen.data}: want DIR/SET/STATE/*.jpg")
    backbone, ajar = Backbone(BACKBONE, WORK / "features"), Ajar(chosen.ajar, WORK)
    cells = []
    for of in measured:
        for labels in chosen.counts:
            print(f"{of.name}, {labels} labels", file=sys.stderr)
            cells.append(measure(of, labels, chosen.draws, sets, backbone, ajar))
    (WORK / "results.json").write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
    print(tables(cells))
    print(last_line(cells))


if __name__ == "__main__":
    main()
