"""The tables, and the line for the eye and for scripts."""

from typing import TYPE_CHECKING

import numpy as np

from scores import interval, ratio

if TYPE_CHECKING:
    from bench import Cell

RECIPES = ["frigate", "corrected", "corrected, 128", "ajar"]


def tables(cells: "list[Cell]") -> str:
    return "\n\n".join([errors(cells), ratios(cells), calibration(cells), unseen(cells), seconds(cells)])


def errors(cells: "list[Cell]") -> str:
    lines = [
        "Balanced error in % on later days, mean of the draws and its 90 % interval.",
        f"{'set':28} {'split':7}{'test':>5}{'labels':>8}" + "".join(f"{name:>22}" for name in RECIPES) + "   ajar - corrected",
    ]
    worse = 0
    for cell in cells:
        line = f"{cell.name[:28]:28} {cell.split:7}{cell.test_pictures:5}{cell.labels:8}"
        for name in RECIPES:
            low, high = interval(cell.errors[name])
            line += f"{100 * np.mean(cell.errors[name]):8.2f} ({100 * low:5.2f}-{100 * high:5.2f})"
        differences = [ours - theirs for ours, theirs in zip(cell.errors["ajar"], cell.errors["corrected"])]
        low, high = interval(differences)
        line += f"   {100 * np.mean(differences):6.2f} ({100 * low:6.2f} to {100 * high:6.2f})"
        if low > 0:
            worse += 1
            line += " WORSE"
        lines.append(line)
    lines.append(f"Ajar is worse than the corrected recipe by more than noise in {worse} of {len(cells)} rows.")
    return "\n".join(lines)


def ratio_to(cells: "list[Cell]", recipe: str, labels: int) -> tuple[float, float, float]:
    rows = [cell for cell in cells if cell.labels == labels]
    ours, theirs = [cell.errors["ajar"] for cell in rows], [cell.errors[recipe] for cell in rows]
    return ratio(ours, theirs, [cell.floor for cell in rows])


def ratios(cells: "list[Cell]") -> str:
    lines = ["Ajar's balanced error to theirs, geometric mean over the sets and its 90 % interval."]
    for labels in sorted({cell.labels for cell in cells}):
        line = f"{labels:4} labels:"
        for recipe in RECIPES[:-1]:
            value, low, high = ratio_to(cells, recipe, labels)
            line += f"  {value:.2f} ({low:.2f}-{high:.2f}) x {recipe}"
        lines.append(line)
    return "\n".join(lines)


def calibration(cells: "list[Cell]") -> str:
    lines = ["Expected calibration error, mean of the draws.", f"{'set':28}{'labels':>8}" + "".join(f"{name:>16}" for name in RECIPES)]
    for cell in cells:
        means = "".join(f"{np.mean(cell.calibration[name]):16.3f}" for name in RECIPES)
        lines.append(f"{cell.name[:28]:28}{cell.labels:8}{means}")
    return "\n".join(lines)


def unseen(cells: "list[Cell]") -> str:
    rows = [cell for cell in cells if cell.half_covered]
    if not rows:
        return "Unseen: measured at 25 labels only."
    lines = [
        "Unseen, at 25 labels: AUROC of the distance, and the share that the model calls unseen.",
        f"{'set':28}{'other scenes':>14}{'half covered':>14}{'| flagged: own':>16}{'covered':>9}{'other':>7}",
    ]
    for cell in rows:
        other = f"{np.mean(cell.other_scenes):14.3f}" if cell.other_scenes else f"{'-':>14}"
        flagged = {kind: f"{np.mean(shares):.3f}" for kind, shares in cell.flagged.items()}
        lines.append(
            f"{cell.name[:28]:28}{other}{np.mean(cell.half_covered):14.3f}"
            f"{flagged['own']:>16}{flagged['covered']:>9}{flagged.get('other', '-'):>7}"
        )
    return "\n".join(lines)


def seconds(cells: "list[Cell]") -> str:
    """Frigate's are of its head alone, on features that are there; Ajar's of the whole command."""
    names = ["frigate", "ajar, first time", "ajar"]
    lines = ["Seconds of training, median (frigate: only its head; ajar: the whole command, then with its cache warm)."]
    for labels in sorted({cell.labels for cell in cells}):
        rows = [cell for cell in cells if cell.labels == labels]
        medians = [np.median([second for cell in rows for second in cell.seconds[name]]) for name in names]
        lines.append(f"{labels:4} labels: " + ", ".join(f"{name} {median:.2f}" for name, median in zip(names, medians)))
    return "\n".join(lines)


def last_line(cells: "list[Cell]") -> str:
    def number(values: list[float], digits: int) -> str:
        return f"{np.mean(values):.{digits}f}" if values else "-"

    at = {labels: f"{ratio_to(cells, 'frigate', labels)[0]:.2f}" for labels in {cell.labels for cell in cells}}
    at_25 = [cell for cell in cells if cell.labels == 25]
    covered = [value for cell in at_25 for value in cell.half_covered]
    scenes = [value for cell in at_25 for value in cell.other_scenes]
    ece = [value for cell in at_25 for value in cell.calibration["ajar"]]
    return (
        f"half-covered crops: unseen AUROC {number(covered, 3)}\n"
        f"bench-accuracy: ratio to the Frigate recipe {at.get(10, '-')} at 10, {at.get(25, '-')} at 25 labels; "
        f"ECE {number(ece, 3)}; unseen AUROC {number(scenes, 3)}"
    )
