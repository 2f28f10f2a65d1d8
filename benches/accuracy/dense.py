"""Frigate's classifier head: a global average, a dense layer, dropout, a softmax, trained as Frigate trains it."""

import numpy as np

WIDTH = 128
DROPOUT = 0.3
EPOCHS = 50
BATCH = 16
LEARNING_RATE = 1e-3
BETAS = (0.9, 0.999)
EPSILON = 1e-7


def train(features: np.ndarray, labels: np.ndarray, states: int, seed: int) -> list[np.ndarray]:
    """Weights after 50 epochs of Adam on the categorical cross-entropy, batches of 16, no class weights."""
    rng = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> np.ndarray:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    weights = [
        glorot(features.shape[1], WIDTH),
        np.zeros(WIDTH, np.float32),
        glorot(WIDTH, states),
        np.zeros(states, np.float32),
    ]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    targets = np.eye(states, dtype=np.float32)[labels]
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(labels))
        for start in range(0, len(order), BATCH):
            step += 1
            batch = order[start : start + BATCH]
            gradients = _gradients(weights, features[batch], targets[batch], rng)
            for w, m, v, g in zip(weights, first, second, gradients):
                m += (1 - BETAS[0]) * (g - m)
                v += (1 - BETAS[1]) * (g * g - v)
                rate = LEARNING_RATE * np.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)
                w -= rate * m / (np.sqrt(v) + EPSILON)
    return weights


def _gradients(weights, x, targets, rng) -> list[np.ndarray]:
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1 + b1, 0)
    kept = (rng.random(hidden.shape) >= DROPOUT).astype(np.float32) / (1 - DROPOUT)
    dropped = hidden * kept
    error = (_softmax(dropped @ w2 + b2) - targets) / len(x)
    back = (error @ w2.T) * kept * (hidden > 0)
    return [x.T @ back, back.sum(0), dropped.T @ error, error.sum(0)]


def probabilities(weights: list[np.ndarray], features: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = weights
    return _softmax(np.maximum(features @ w1 + b1, 0) @ w2 + b2)


def _softmax(scores: np.ndarray) -> np.ndarray:
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)
