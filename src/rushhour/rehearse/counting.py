"""The arithmetic of the figures: percentiles, shares of all users, counts in bins of time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.results import Series

STEP_S = 0.25
"""Width of the bins of every series of users, in seconds."""


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile by linear interpolation between the nearest ranks (as NumPy's default); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return round(ordered[below] + (ordered[above] - ordered[below]) * (rank - below), 4)


def served_within(answered: Sequence[float], users: int) -> list[float | None]:
    """Return, for each whole percentage 0…100 of all users, the time within which so many were answered."""
    ordered = [0.0, *sorted(answered)]
    needed = [math.ceil(users * percent / 100) for percent in range(101)]
    return [ordered[count] if count < len(ordered) else None for count in needed]


def count_outcomes(visits: Sequence[Visited]) -> tuple[Mapping[Outcome, int], dict[str, int]]:
    """Return how many visits ended in each way, and the failures by kind, the most frequent first."""
    outcomes = Counter(visit.outcome for visit in visits)
    kinds = Counter(visit.kind for visit in visits if visit.outcome is Outcome.FAILED)
    return outcomes, dict(kinds.most_common())


def bins(times: Sequence[float], step: float, length: int) -> list[int]:
    """Count times into `length` bins of `step` seconds; what lies beyond the last counts there."""
    counts = [0] * length
    for time in times:
        counts[min(max(int(time / step), 0), length - 1)] += 1
    return counts


def series_of(visits: Sequence[Visited]) -> Series:
    """Return when users arrived, were answered, and left without an answer."""
    ends = [visit.at + visit.done_s for visit in visits]
    length = int(max(ends, default=0.0) / STEP_S) + 1
    right = [end for visit, end in zip(visits, ends, strict=True) if visit.outcome is Outcome.ANSWERED]
    not_right = [end for visit, end in zip(visits, ends, strict=True) if visit.outcome is not Outcome.ANSWERED]
    return Series(
        STEP_S,
        bins([visit.at for visit in visits], STEP_S, length),
        bins(right, STEP_S, length),
        bins(not_right, STEP_S, length),
    )
