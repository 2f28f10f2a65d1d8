"""The tables, and the line for the eye and for scripts."""

from collections.abc import Callable

import numpy as np

from cells import UNSEEN_AT, Cell
from scores import interval, ratio

RECIPES = ["frigate", "corrected", "corrected, 128", "ajar"]
NAME = 26  # characters of a set's name
MOST_RATIO, MOST_CALIBRATION, LEAST_SCENES, LEAST_COVERED = 0.40, 0.05, 0.97, 0.85  # what is aimed at
SAME = 1e-4  # balanced errors that agree


def tables(cells: list[Cell]) -> str:
    parts = [_sets, _errors, _ratios, _calibration, _unseen, _seconds, _targets]
    return "\n\n".join("\n".join(part(cells)) for part in parts) + "\n"


def _sets(cells: list[Cell]) -> list[str]:
    lines = ["Sets: how they are split, and test pictures of each state."]
    for cell in {cell.name: cell for cell in cells}.values():
        lines.append(f"  {cell.name[:NAME]:{NAME}}  {cell.split}; test {' '.join(map(str, cell.test))}")
    for cell in cells:
        if min(cell.train) < cell.labels:
            used = " ".join(map(str, cell.train))
            lines.append(f"  {cell.name} has too few for {cell.labels} labels: trained on {used}")
        if cell.disagreement > SAME:
            where = f"{cell.name}, {cell.labels} labels"
            lines.append(f"  {where}: ajar evaluate's balanced error differs by up to {cell.disagreement:.4f}")
    return lines


def _errors(cells: list[Cell]) -> list[str]:
    lines = [
        "Balanced error in % on the test pictures, mean of the draws and its 90 % interval.",
        f"  {'set':{NAME}}{'labels':>7}" + "".join(f"{name:>22}" for name in RECIPES) + f"{'ajar - corrected':>26}",
    ]
    for cell in cells:
        line = f"  {cell.name[:NAME]:{NAME}}{cell.labels:7}"
        for name in RECIPES:
            low, high = interval(cell.errors[name])
            line += f"{100 * np.mean(cell.errors[name]):8.2f} ({100 * low:5.2f}-{100 * high:5.2f})"
        low, high = interval(_differences(cell))
        line += f"{100 * np.mean(_differences(cell)):8.2f} ({100 * low:6.2f} to {100 * high:6.2f})"
        lines.append(line + (" WORSE" if _worse(cell) else ""))
    count = sum(map(_worse, cells))
    lines.append(f"  Ajar is worse than the corrected recipe by more than noise in {count} of {len(cells)} rows.")
    return lines


def _differences(cell: Cell, recipe: str = "corrected") -> list[float]:
    return [ours - theirs for ours, theirs in zip(cell.errors["ajar"], cell.errors[recipe])]


def _worse(cell: Cell, recipe: str = "corrected") -> bool:
    return interval(_differences(cell, recipe))[0] > 0


def _ratio_to(cells: list[Cell], recipe: str, labels: int) -> tuple[float, float, float]:
    rows = [cell for cell in cells if cell.labels == labels and _mistakes(cell, recipe)]
    if not rows:
        return 1.0, 1.0, 1.0
    ours, theirs = [cell.errors["ajar"] for cell in rows], [cell.errors[recipe] for cell in rows]
    return ratio(ours, theirs, [cell.floor for cell in rows])


def _mistakes(cell: Cell, recipe: str) -> bool:
    """Whether either made any: nothing over nothing is no ratio."""
    return any(cell.errors["ajar"]) or any(cell.errors[recipe])


def _ratios(cells: list[Cell]) -> list[str]:
    lines = ["Ajar's balanced error to theirs, geometric mean over the sets and its 90 % interval."]
    for labels in _counts(cells):
        line = f"  {labels:4} labels:"
        for recipe in RECIPES[:-1]:
            value, low, high = _ratio_to(cells, recipe, labels)
            line += f"  {value:.2f} ({low:.2f}-{high:.2f}) x {recipe}"
        lines.append(line)
        rows = [cell for cell in cells if cell.labels == labels]
        without = [cell.name for cell in rows if not _mistakes(cell, "frigate")]
        if without:
            share = (len(rows) - len(without)) / len(rows)
            value = _ratio_to(cells, "frigate", labels)[0] ** share
            lines.append(f"    left out, as neither makes a mistake there: {', '.join(without)}; as a ratio of 1: {value:.2f} x frigate")
    return lines


def _calibration(cells: list[Cell]) -> list[str]:
    heading = "".join(f"{name:>16}" for name in RECIPES)
    lines = [
        "Expected calibration error on the test pictures, mean of the draws; what Ajar publishes as unknown, in %.",
        f"  {'set':{NAME}}{'labels':>7}{heading}{'unknown':>11}",
    ]
    for cell in cells:
        means = "".join(f"{np.mean(cell.calibration[name]):16.3f}" for name in RECIPES)
        lines.append(f"  {cell.name[:NAME]:{NAME}}{cell.labels:7}{means}{100 * np.mean(cell.unknown):11.1f}")
    return lines


def _unseen(cells: list[Cell]) -> list[str]:
    rows = [cell for cell in cells if cell.half_covered]
    if not rows:
        return [f"Unseen: measured at {UNSEEN_AT} labels only."]
    lines = [
        f"Unseen, at {UNSEEN_AT} labels: AUROC of the distance, and the share of pictures with one above 1, in %.",
        f"  {'':{NAME}}{'AUROC':>14}{'':12}{'called unseen':>20}",
        f"  {'set':{NAME}}{'other scenes':>14}{'half covered':>14}{'false alarms':>16}{'other':>8}{'covered':>9}",
    ]
    for cell in rows:
        scenes, covered = _mean([cell.other_scenes]), _mean([cell.half_covered])
        share = {kind: f"{100 * np.mean(shares):.1f}" for kind, shares in cell.flagged.items()}
        lines.append(
            f"  {cell.name[:NAME]:{NAME}}{_number(scenes):>14}{_number(covered):>14}"
            f"{share['own']:>16}{share.get('other', '-'):>8}{share['covered']:>9}"
        )
    return lines


def _seconds(cells: list[Cell]) -> list[str]:
    lines = [
        "Seconds of training, median. Frigate's recipes: embedding once, and the head. Ajar: the whole command, first",
        "with nothing embedded, then with every picture embedded once.",
    ]
    names = [*RECIPES[:-1], "ajar, first time", "ajar"]
    for labels in _counts(cells):
        rows = [cell for cell in cells if cell.labels == labels]
        medians = [np.median([second for cell in rows for second in cell.seconds[name]]) for name in names]
        texts = [f"{name} {median:.2f}" for name, median in zip(names, medians)]
        lines.append(f"  {labels:4} labels: " + "; ".join(texts))
    return lines


def summary(cells: list[Cell]) -> dict[str, float | None]:
    """What is aimed at, by name; None where it was not measured."""
    at = {labels: [cell for cell in cells if cell.labels == labels] for labels in (10, UNSEEN_AT)}
    return {
        "ratio_at_10": _ratio_to(cells, "frigate", 10)[0] if at[10] else None,
        "ratio_at_25": _ratio_to(cells, "frigate", UNSEEN_AT)[0] if at[UNSEEN_AT] else None,
        "ece": _mean([cell.calibration["ajar"] for cell in at[UNSEEN_AT]]),
        "other_scenes": _mean([cell.other_scenes for cell in at[UNSEEN_AT]]),
        "half_covered": _mean([cell.half_covered for cell in at[UNSEEN_AT]]),
        "worse": sum(map(_worse, cells)),
        "worse_128": sum(_worse(cell, "corrected, 128") for cell in cells),
    }


def _targets(cells: list[Cell]) -> list[str]:
    found = summary(cells)
    wanted: list[tuple[str, str, Callable[[float], bool], str]] = [
        ("ratio_at_10", "ratio to the Frigate recipe at 10 labels", lambda x: x <= MOST_RATIO, f"<= {MOST_RATIO:.2f}"),
        ("ratio_at_25", "ratio to the Frigate recipe at 25 labels", lambda x: x <= MOST_RATIO, f"<= {MOST_RATIO:.2f}"),
        ("worse", "rows worse than corrected, 224 x 224", lambda x: x == 0, "0"),
        ("worse_128", "rows worse than corrected, 128 x 128", lambda x: x == 0, "0"),
        ("ece", "calibration error at 25 labels", lambda x: x <= MOST_CALIBRATION, f"<= {MOST_CALIBRATION:.2f}"),
        ("other_scenes", "unseen AUROC, other scenes", lambda x: x >= LEAST_SCENES, f">= {LEAST_SCENES:.2f}"),
        ("half_covered", "unseen AUROC, half covered", lambda x: x >= LEAST_COVERED, f">= {LEAST_COVERED:.2f}"),
    ]
    lines = ["Targets."]
    for key, name, reached, target in wanted:
        value = found[key]
        verdict = "not measured" if value is None else "reached" if reached(value) else "MISSED"
        lines.append(f"  {name:42}{_number(value):>8}   wanted {target:8} {verdict}")
    return lines


def last_lines(cells: list[Cell]) -> str:
    found = summary(cells)
    return (
        f"half-covered crops: unseen AUROC {_number(found['half_covered'])}\n"
        f"bench-accuracy: ratio to the Frigate recipe {_number(found['ratio_at_10'], 2)} at 10, "
        f"{_number(found['ratio_at_25'], 2)} at 25 labels; "
        f"ECE {_number(found['ece'])}; unseen AUROC {_number(found['other_scenes'])}"
    )


def _counts(cells: list[Cell]) -> list[int]:
    return sorted({cell.labels for cell in cells})


def _mean(of_sets: list[list[float]]) -> float | None:
    """Mean over sets of the mean over draws."""
    means = [np.mean(values) for values in of_sets if values]
    return float(np.mean(means)) if means else None


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.{digits}f}"
