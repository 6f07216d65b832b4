"""The floor: the least time in which a provider can have admitted one chat call for every user.

A provider that admits `rate` calls a second, and lets a client save up `burst_s` seconds of them, admits N waiting
calls in `N / rate` seconds less what was saved up. One second of the saved-up quota is left out, since it stands
against the time of the last answer itself, which is about as long: 1,000 users at 3,000 calls a minute, enforced per
second, have a floor of 20 s. Users who come late, and outages in which every chat call fails, raise it. Of the limits
on requests and on tokens and of a server's slots (`rushhour.rehearse.slots`) the scarcest counts. Calls for embeddings
and vectors are left out: they can be shared or remembered, a generated answer cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rushhour.flow.ledger.contract import MOST
from rushhour.rehearse.slots import Slots

ANSWER_S = 1.0
"""Seconds that stand for the time of the last answer, from its admission to its last word."""

Interval = tuple[float, float]
Point = tuple[float, float]
Scarce: TypeAlias = Literal["requests", "tokens", "slots"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the chat API admits: requests and tokens a minute, and for how many seconds of them may be saved up.

    A limit of `MOST` or more is none. `slots` is how many calls a server of one's own works on at a time.
    """

    rpm: float
    tpm: float
    burst_s: float
    slots: Slots | None = None


@dataclass(frozen=True, slots=True)
class CallTokens:
    """The tokens of a mean chat call: of its prompt, as they are charged, and of its answer."""

    prompt: float
    answer: float


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the limits: how many calls it lets pass a second, and for how many seconds that may be saved up."""

    name: Scarce
    calls_per_s: float
    saved_s: float


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds until the last user can have an answer, and what they are due to.

    `limit` is the tightest, whether or not anybody waits for it; where there is none at all, `limited` says so.
    """

    seconds: float
    bound: Scarce | Literal["arrivals"]
    tokens: CallTokens
    limit: Limit
    limited: bool = True


def floor_of(
    arrivals: Sequence[float],
    over_s: float,
    limits: Limits,
    tokens: CallTokens,
    closed: Sequence[Interval] = (),
) -> Floor:
    """Return the floor for users who come at these times (ascending, in seconds), within `over_s` in all.

    `closed` are intervals in which no chat call succeeds; they do not overlap, and the last may never end: who is not
    admitted before it can have no generated answer, and does not count.
    """
    real = limits_on(limits, tokens)
    every = real or [Limit("requests", limits.rpm / 60, limits.burst_s)]
    ends = {one: round(_last_admission(arrivals, one.calls_per_s, one.saved_s, closed), 6) for one in every}
    longest = max(every, key=lambda one: ends[one])
    if over_s < ends[longest]:
        return Floor(ends[longest], longest.name, tokens, longest, bool(real))
    return Floor(over_s, "arrivals", tokens, min(every, key=lambda one: one.calls_per_s), bool(real))


def limits_on(limits: Limits, tokens: CallTokens) -> list[Limit]:
    """Return the limits that a chat call of so many tokens must pass; empty where nothing limits it."""
    found = []
    if limits.rpm < MOST:
        found.append(Limit("requests", limits.rpm / 60, limits.burst_s))
    if limits.tpm < MOST:
        found.append(Limit("tokens", limits.tpm / 60 / tokens.prompt, limits.burst_s))
    if limits.slots is not None:
        work_s = limits.slots.work_s(tokens.answer)
        found.append(Limit("slots", limits.slots.count / work_s, work_s))
    return found


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
