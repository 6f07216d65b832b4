"""How much of the provider's chat limit was used while there was demand for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from rushhour.rehearse.counting import bins
from rushhour.rehearse.crowd import Visited


def limit_used(visits: Sequence[Visited], admitted: Sequence[float], limit_per_s: float) -> float | None:
    """Return what the provider admitted as a share of what its limit allowed, while users waited for it.

    `admitted` are its chat calls by the second. A second counts when, at its beginning and at its end, a whole second's
    worth of users had come, were not admitted yet, and had not left without an answer. None where that never was so.
    """
    seconds = len(admitted)
    if not seconds:
        return None
    came = accumulate(bins([visit.at for visit in visits], 1.0, seconds))
    unserved = [visit.at + visit.done_s for visit in visits if visit.first_s is None]
    left = accumulate(bins(unserved, 1.0, seconds))
    passed = accumulate(admitted)
    waiting = [0.0, *(one - two - three for one, two, three in zip(came, left, passed, strict=True))]
    full = [n for n in range(seconds) if min(waiting[n], waiting[n + 1]) >= limit_per_s]
    return round(sum(admitted[n] for n in full) / (limit_per_s * len(full)), 4) if full else None


def begun(admitted: Sequence[int], limit_per_s: float) -> list[float]:
    """Return how many calls get a slot in each second, of those that a server let in: the others wait before it.

    No more begin than it has the pace for, first come, first served; that all slots are free at first is left out.
    """
    found, before = [], 0.0
    for came in admitted:
        found.append(min(before + came, limit_per_s))
        before += came - found[-1]
    return found
