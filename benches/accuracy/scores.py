"""What probabilities are worth: the same functions for every recipe."""

import numpy as np

BINS = 10
RESAMPLES = 2000
TAILS = [5, 95]  # percentiles: a 90 % interval


def balanced_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the states of the share of pictures whose most probable state is another."""
    wrong = probabilities.argmax(1) != truth
    return float(np.mean([wrong[truth == state].mean() for state in np.unique(truth)]))


def floor(truth: np.ndarray) -> float:
    """Half the least error that is not none in one draw: half a test picture of the smallest state."""
    states, counts = np.unique(truth, return_counts=True)
    return 0.5 / (len(states) * int(counts.min()))


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
    low, high = np.percentile(np.mean(_resampled(np.array(values), np.random.default_rng(0)), axis=1), TAILS)
    return float(low), float(high)


def ratio(ours: list[list[float]], theirs: list[list[float]], floors: list[float]) -> tuple[float, float, float]:
    """Geometric mean over the sets of the ratio of mean errors, and its 90 % interval by resampling the draws.

    A mean error of none counts as half the least that a mean over the draws can be.
    """
    rng = np.random.default_rng(0)
    floors = [least / len(draws) for least, draws in zip(floors, ours)]

    def logarithms(means: np.ndarray, least: float) -> np.ndarray:
        """Of one set's ratio, for means of shape ..., 2."""
        return np.diff(np.log(np.maximum(means[..., ::-1], least)), axis=-1)[..., 0]

    pairs = [np.stack([a, b], axis=1) for a, b in zip(map(np.array, ours), map(np.array, theirs))]
    value = np.mean([logarithms(pair.mean(0), least) for pair, least in zip(pairs, floors)])
    draws = [logarithms(_resampled(pair, rng).mean(1), least) for pair, least in zip(pairs, floors)]
    low, high = np.percentile(np.mean(draws, axis=0), TAILS)
    return float(np.exp(value)), float(np.exp(low)), float(np.exp(high))


def _resampled(draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return draws[rng.integers(0, len(draws), (RESAMPLES, len(draws)))]
