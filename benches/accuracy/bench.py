"""Ajar's training beside Frigate's recipe: the same pictures, the same backbone, later days. See README.md."""

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from cells import Bench
from frigate import Backbone
from product import Ajar
from report import last_lines, summary, tables
from sets import find_sets

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = Path(__file__).resolve().parent / "work"
SHARED_SETS = REPOSITORY.parent / "shared" / "data" / "sets"
BACKBONE = REPOSITORY / "models" / "mobilenetv2-128.onnx"


def main() -> None:
    chosen = arguments()
    if not chosen.data.is_dir():
        if chosen.data != SHARED_SETS:
            need(f"no directory {chosen.data}")
        print("skipped: no shared data")
        return
    if not chosen.ajar.is_file():
        need(f"no program {chosen.ajar}; make build makes it")
    sets = find_sets(chosen.data)
    measured = [one for one in sets if chosen.sets is None or one.name in chosen.sets]
    if not measured:
        need(f"no set in {chosen.data}; want SET/STATE/*.jpg, and --sets to name sets from there")

    covered = WORK / "covered"
    shutil.rmtree(covered, ignore_errors=True)
    backbone = Backbone(BACKBONE, WORK / "features")
    bench = Bench(sets, backbone, Ajar(chosen.ajar.resolve(), WORK), covered, chosen.seed)
    cells = []
    for of in measured:
        for labels in chosen.counts:
            print(f"{of.name}, {labels} labels", file=sys.stderr)
            cells.append(bench.measure(of, labels, chosen.draws))
    results = {
        "options": {"draws": chosen.draws, "seed": chosen.seed},
        "summary": summary(cells),
        "cells": [asdict(cell) for cell in cells],
    }
    (WORK / "results.json").write_text(json.dumps(results, indent=1))
    print(tables(cells))
    print(last_lines(cells))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED_SETS, help="directory of sets, each a folder of states")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="measure only these; others stay strangers")
    parser.add_argument("--counts", type=lambda text: [int(n) for n in text.split(",")], default=[5, 10, 25, 50])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="other draws")
    parser.add_argument("--quick", action="store_true", help="10 and 25 labels, 3 draws")
    parser.add_argument("--ajar", type=Path, default=REPOSITORY / "target" / "release" / "ajar")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.counts, chosen.draws = [10, 25], 3
    if chosen.draws < 1 or min(chosen.counts) < 1:
        parser.error("--draws and --counts want numbers above 0")
    return chosen


def need(what: str) -> None:
    print(f"bench-accuracy: {what}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
