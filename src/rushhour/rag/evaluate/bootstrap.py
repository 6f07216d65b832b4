"""How far a mean over questions may be from the truth, and whether two configurations really differ.

The questions asked are a sample of those that could be asked: drawing from them again and again, with replacement,
shows how much the mean depends on which came (Efron 1979). All configurations see the same draws, so a difference is
judged question by question, which tells much smaller ones apart than two intervals side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 10_000
LEVEL: Final = 0.95
_ROUNDING: Final = 1e-12
_AT_ONCE: Final = 4_000_000
"""Numbers held in memory at any moment."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its interval at the level of 95 %.

    `best`: no other configuration's mean is higher. `worse`: the interval of what the best one has ahead excludes 0.
    """

    mean: float
    low: float
    high: float
    best: bool
    worse: bool


def estimate(values: NDArray[np.float64], seed: int, draws: int = DRAWS) -> list[list[Estimate]]:
    """Estimate the mean of each configuration by each metric; the draws are the same for all of them.

    `values` has the shape (metrics, configurations, questions), with 1 or more of each. The same seed gives the same
    intervals. Percentile intervals: they never leave the range of the values.
    """
    metrics, configurations, questions = values.shape
    rows = values.reshape(metrics * configurations, questions)
    drawn = _means_of_draws(rows, np.random.default_rng(seed), draws).reshape(draws, metrics, configurations)
    return [_compared(values[metric].mean(axis=1), drawn[:, metric]) for metric in range(metrics)]


def _compared(means: NDArray[np.float64], drawn: NDArray[np.float64]) -> list[Estimate]:
    """Judge configurations by one metric: their means, and those of each draw, shape (draws, configurations)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    best = int(np.argmax(means))
    ahead = np.quantile(drawn[:, [best]] - drawn, tail, axis=0)
    return [
        Estimate(
            mean=float(mean),
            low=float(min(low[nth], mean)),
            high=float(max(high[nth], mean)),
            best=bool(mean > means[best] - _ROUNDING),
            worse=bool(ahead[nth] > _ROUNDING),
        )
        for nth, mean in enumerate(means)
    ]


def _means_of_draws(values: NDArray[np.float64], chance: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Return the mean of each row in each draw, shape (draws, rows)."""
    questions = values.shape[1]
    rows = max(1, _AT_ONCE // questions)
    parts = []
    for begin in range(0, draws, rows):
        count = min(rows, draws - begin)
        picked = chance.integers(questions, size=(count, questions))
        picked += np.arange(count)[:, None] * questions
        times = np.bincount(picked.ravel(), minlength=count * questions).reshape(count, questions)
        parts.append(times @ values.T / questions)
    return np.concatenate(parts)
