"""What probabilities are worth: the same functions for every recipe."""

import random

import numpy as np

BINS = 10
RESAMPLES = 2000


def balanced_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the states of the share of pictures whose most probable state is another."""
    wrong = probabilities.argmax(1) != truth
    return float(np.mean([wrong[truth == state].mean() for state in np.unique(truth)]))


def floor(truth: np.ndarray) -> float:
    """Half a test picture: what an error of none is taken for in a ratio."""
    return 0.5 / len(truth)


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error of the largest probability, in 10 bins (Guo et al. 2017)."""
    largest = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bins = np.minimum((largest * BINS).astype(int), BINS - 1)
    return float(sum(abs(largest[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)) / len(truth))


def auroc(familiar: np.ndarray, strange: np.ndarray) -> float:
    """Probability that a strange picture is farther away than a familiar one."""
    return float((strange[:, None] > familiar).mean() + 0.5 * (strange[:, None] == familiar).mean())


def interval(values: list[float]) -> tuple[float, float]:
    """90 % interval of the mean, by resampling the draws."""
    rng = random.Random(0)
    means = sorted(float(np.mean(rng.choices(values, k=len(values)))) for _ in range(RESAMPLES))
    return means[int(0.05 * RESAMPLES)], means[int(0.95 * RESAMPLES)]


def ratio(of: list[list[float]], to: list[list[float]], floors: list[float]) -> tuple[float, float, float]:
    """Geometric mean over the sets of the ratio of mean errors, and its 90 % interval by resampling the draws."""

    def value(pick) -> float:
        logs = []
        for ours, theirs, least in zip(of, to, floors):
            chosen = pick(len(ours))
            mean = [max(float(np.mean([errors[i] for i in chosen])), least) for errors in (ours, theirs)]
            logs.append(np.log(mean[0] / mean[1]))
        return float(np.exp(np.mean(logs)))

    rng = random.Random(0)
    resampled = sorted(value(lambda n: rng.choices(range(n), k=n)) for _ in range(RESAMPLES))
    return value(range), resampled[int(0.05 * RESAMPLES)], resampled[int(0.95 * RESAMPLES)]
