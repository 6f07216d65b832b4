"""The floor: the least time in which a provider can have admitted one chat call for every user.

A provider that admits `rate` calls a second, and lets a client save up `burst_s` seconds of them, admits N waiting
calls in `N / rate` seconds less what was saved up. One second of the saved-up quota is left out, since it stands
against the time of the last answer itself, which is about as long: 1,000 users at 3,000 calls a minute, enforced per
second, have a floor of 20 s. Users who come late, and outages in which every chat call fails, raise it. Of the limits
on requests and on tokens the scarcer counts. Calls for embeddings and vectors are left out: they can be shared or
remembered, a generated answer cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

ANSWER_S = 1.0
"""Seconds that stand for the time of the last answer, from its admission to its last word."""

Interval = tuple[float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the chat API admits: requests and tokens a minute, and for how many seconds of them may be saved up."""

    rpm: float
    tpm: float
    burst_s: float


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds until the last user can have an answer, and what they are due to."""

    seconds: float
    bound: Literal["requests", "tokens", "arrivals"]
    tokens_per_call: float
    calls_per_s: float


def floor_of(
    arrivals: Sequence[float],
    over_s: float,
    limits: Limits,
    tokens_per_call: float,
    closed: Sequence[Interval] = (),
) -> Floor:
    """Return the floor for users who come at these times (ascending, in seconds), within `over_s` in all.

    `closed` are intervals in which no chat call succeeds; they do not overlap, and the last may never end: who is not
    admitted before it can have no generated answer, and does not count.
    """
    by_requests = _last_admission(arrivals, limits.rpm / 60, limits.burst_s, closed)
    by_tokens = _last_admission(arrivals, limits.tpm / 60 / tokens_per_call, limits.burst_s, closed)
    calls_per_s = min(limits.rpm / 60, limits.tpm / 60 / tokens_per_call)
    seconds = round(max(by_requests, by_tokens), 6)
    if over_s >= seconds:
        return Floor(over_s, "arrivals", tokens_per_call, calls_per_s)
    return Floor(seconds, "tokens" if by_tokens > by_requests else "requests", tokens_per_call, calls_per_s)


def ceiling_of(users: int, rate: float, burst_s: float, until: float, closed: Sequence[Interval] = ()) -> list[Point]:
    """Return the most calls that can have been admitted by any time, as the corners of a rising line.

    It begins with what was saved up, climbs with the rate, rests while the provider is closed and then rises at once by
    what was saved up meanwhile. It ends at `until`, or where all users have been admitted.
    """
    saved = burst_s * rate
    at, level = 0.0, min(saved, float(users))
    corners = [(0.0, level)]
    for start, end in [*((max(one, 0.0), min(other, until)) for one, other in sorted(closed)), (until, until)]:
        reached = min(level + max(start - at, 0.0) * rate, float(users))
        corners.append((at + (reached - level) / rate, reached))
        if reached >= users:
            break
        level = min(reached + min((end - start) * rate, saved), float(users))
        if end > start:
            corners += [(end, reached), (end, level)]
        at = end
    return [corner for n, corner in enumerate(corners) if n == 0 or corner != corners[n - 1]]


def least_waits(arrivals: Sequence[float], rate: float, burst_s: float, closed: Sequence[Interval] = ()) -> list[float]:
    """Return how long each user waits at the least to be admitted, first come, first served, in order of arrival.

    Users who cannot be admitted any more are left out.
    """
    taken = zip(arrivals, _admissions(arrivals, rate, burst_s, closed), strict=False)
    return [admitted - arrival for arrival, admitted in taken]


def _last_admission(arrivals: Sequence[float], rate: float, burst_s: float, closed: Sequence[Interval]) -> float:
    """Return when the last call is taken."""
    last = 0.0
    for admitted in _admissions(arrivals, rate, burst_s, closed):
        last = admitted
    return last


def _admissions(arrivals: Sequence[float], rate: float, burst_s: float, closed: Sequence[Interval]) -> Iterator[float]:
    """Take every call as early as its arrival, the quota and the outages allow."""
    depth = max(burst_s * rate, 1.0)
    level = max(burst_s - ANSWER_S, 0.0) * rate
    now = 0.0
    gates = _gates(closed)
    gate = next(gates)
    for arrival in arrivals:
        later = max(arrival, now)
        while later + max(1.0 - level - (later - now) * rate, 0.0) / rate >= gate[0]:
            if math.isinf(gate[1]):  # closed for ever: what was not admitted by now never will be
                return
            later = max(later, gate[1])
            gate = next(gates)
        level = min(level + (later - now) * rate, depth)
        wait = max(1.0 - level, 0.0) / rate
        now = later + wait
        level += wait * rate - 1.0
        yield now


def _gates(closed: Sequence[Interval]) -> Iterator[Interval]:
    yield from sorted(closed)
    while True:
        yield (math.inf, math.inf)
