"""Fit a line through noisy points by gradient descent."""

from __future__ import annotations

import random
from collections.abc import Iterator

from toyproject.logs.models import Record


def fit(*, slope: float, lr: float, steps: int, seed: int) -> Iterator[Record]:
    """Yield what each step of the descent looks like."""
    rng = random.Random(seed)
    points = [(x, slope * x + rng.gauss(0, 0.01)) for x in (-1.0, 0.0, 1.0, 2.0)]
    guess = 0.0
    for step in range(steps):
        errors = [(x, guess * x - y) for x, y in points]
        guess -= lr * sum(2 * x * error for x, error in errors) / len(points)
        loss = sum(error**2 for _, error in errors) / len(points)
        yield Record(step=step, slope=guess, loss=loss)
