"""What share of questions repeats an earlier one, for questions that are asked as often as Zipf's law says."""

from __future__ import annotations

import numpy as np


def zipf_repeats(asked: int, different: int, exponent: float) -> float:
    """Return the expected share of `asked` questions that somebody asked before.

    Each is drawn from `different` ones, the n-th with a weight of n to the power of minus `exponent`. Expected are
    `1 - (1 - p)**asked` first askings of a question with probability p.
    """
    weights = np.arange(1, different + 1, dtype=np.float64) ** -exponent
    shares = weights / weights.sum()
    first = -np.expm1(asked * np.log1p(-np.minimum(shares, 1 - 1e-12))).sum()
    return float(max(1.0 - first / asked, 0.0))
