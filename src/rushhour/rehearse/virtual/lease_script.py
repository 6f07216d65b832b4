"""`redis_scripts` in Python: the same arithmetic on the same words. The time, in seconds, is an argument."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

_HEAD = 9
_WIDTH = 10
_AHEAD_S = 1.0
"""Who was seen this far in the future was seen by a clock that has been set since."""


class Members:
    """Sorted sets of who was seen when."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}

    def seen(self, key: str, me: str, window_s: float, now: float) -> int:
        """Note that I am here, forget who was not within the window, and return how many are left."""
        members = self._seen.setdefault(key, {})
        members[me] = now
        gone = [who for who, at in members.items() if not now - window_s <= at <= now + _AHEAD_S]
        for who in gone:
            del members[who]
        return len(members)

    def count(self, key: str, window_s: float, now: float) -> int:
        """Return how many were here within the window."""
        return sum(1 for at in self._seen.get(key, {}).values() if at >= now - window_s)

    def remove(self, key: str, me: str) -> int:
        """Take one out; return how many that were."""
        return int(self._seen.get(key, {}).pop(me, None) is not None)


@dataclass(slots=True)
class _Quota:
    """What is kept of one quota: places (TAT) and sums by dimension, and times that hold for all of them."""

    places: dict[str, float]
    sums: dict[str, float]
    at: float | None = None
    gate: float = 0.0
    withheld_from: float = 0.0
    withheld_to: float = 0.0


class _Told(msgspec.Struct, frozen=True):
    """What waits at a replica and what will come back to it, in seconds of the limit, and when it said so."""

    waiting: float
    booked: float
    at: float


class _Ask(msgspec.Struct, frozen=True):
    """One dimension of a call, as `lease_call.Ask` tells it."""

    name: str
    depth: float
    taken: float
    taken_lost: float
    need: float
    want: float
    ramp: float
    most: float
    hint: float | None
    call: float

    @classmethod
    def of(cls, words: Sequence[str]) -> _Ask:
        """Read it from a call's words."""
        depth, taken, taken_lost, need, want, ramp, most = (float(word) for word in words[1:8])
        hint = float(words[8]) if words[8] else None
        return cls(words[0], depth, taken, taken_lost, need, want, ramp, most, hint, float(words[9]))


class Leases:
    """Every quota's places, and the script that leases them."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._quotas: dict[str, _Quota] = {}
        self._told: dict[str, dict[str, _Told]] = {}

    def lease(self, keys: Sequence[str], words: Sequence[str], now: float) -> list[float]:
        """Run the script LEASE; the reply's numbers are in its order."""
        me = words[0]
        living_s, wanting_s, lease_s, round_s, lost_s, closed_s, waiting, booked = map(float, words[1:_HEAD])
        asks = [_Ask.of(words[at : at + _WIDTH]) for at in range(_HEAD, len(words), _WIDTH)]
        quota = self._quotas.setdefault(keys[0], _Quota({}, {}))
        gap, unseen = _absence(quota, lost_s, now)
        if closed_s > 0:
            quota.gate = max(quota.gate, now + closed_s)
        places = {ask.name: _place(quota, ask, gap, unseen, closed_s, now) for ask in asks}
        first = max(now, quota.gate, *(_first(ask, places, now) for ask in asks)) if asks else max(now, quota.gate)
        if any(ask.want > 0 for ask in asks):
            active = self._members.seen(keys[1], me, wanting_s, now)
        else:
            active = self._members.count(keys[1], wanting_s, now)
        living = self._members.seen(keys[2], me, living_s, now)
        told = self._told.setdefault(keys[3], {})
        others = _tell(told, me, _Told(waiting, booked, now), wanting_s)
        turns = _Turns.between(waiting, others, lease_s, round_s, max((ask.need for ask in asks), default=0.0))
        share = turns.part(waiting) if waiting > 0 else min(lease_s, turns.round_s / max(active, 1))
        beside = sum(turns.beside(waiting, one.waiting) for one in others)
        asked, elsewhere = waiting + booked, [one.waiting + one.booked for one in others]
        besides = sum(amount / asked if asked > 0 else 1.0 for amount in elsewhere if amount > 0)
        reply = [now, float(living), float(active), max(quota.gate - now, 0.0), beside, besides]
        for ask in asks:
            reply += _grant(quota, ask, places[ask.name], first, share, now)
        return reply


class _Turns(msgspec.Struct, frozen=True):
    """What each replica is granted in its turn: its part of all that waits, and never less than one call."""

    round_s: float
    total: float
    least: float

    @classmethod
    def between(cls, mine: float, others: Sequence[_Told], lease_s: float, round_s: float, least: float) -> _Turns:
        """Divide a round, which is shorter where the longest turn would be more than a lease may hold."""
        waits = [mine, *(one.waiting for one in others)]
        total, most = sum(waits), max(waits)
        return cls(min(round_s, lease_s * total / most) if most > 0 else round_s, total, least)

    def part(self, waiting: float) -> float:
        """Return the part of a round of a replica where so much waits."""
        return self.round_s * waiting / self.total

    def of(self, waiting: float) -> float:
        """Return the seconds of its turn."""
        return max(self.least, self.part(waiting))

    def beside(self, mine: float, theirs: float) -> float:
        """Return how many times as much as waits here goes before the last of it there."""
        if theirs <= 0:
            return 0.0
        return min(theirs / mine, self.of(theirs) / self.of(mine)) if mine > 0 else 1.0


def _tell(told: dict[str, _Told], me: str, mine: _Told, window_s: float) -> list[_Told]:
    """Keep what a replica tells; return what waits at the others: it has become less since, as all of it has."""
    now = mine.at
    for who in [who for who, theirs in told.items() if not now - window_s <= theirs.at <= now + _AHEAD_S]:
        del told[who]
    told.pop(me, None)
    others = list(told.values())
    if mine.waiting + mine.booked > 0:
        told[me] = mine
    total = mine.waiting + sum(one.waiting for one in others)
    if not total:
        return others
    return [_Told(one.waiting * max(1 - max(now - one.at, 0.0) / total, 0.0), one.booked, one.at) for one in others]


def _absence(quota: _Quota, lost_s: float, now: float) -> tuple[float, float]:
    """Return how long nobody was here, and what part of the caller's own absence is not covered by that."""
    gap = unseen = 0.0
    if lost_s > 0:
        begun = now - lost_s
        if quota.at is not None:
            begun = max(begun, quota.at)
        if now - begun >= lost_s / 2:
            gap = now - begun
            quota.withheld_from, quota.withheld_to = begun, now
        covered = min(now, quota.withheld_to) - max(now - lost_s, quota.withheld_from)
        unseen = 1 - min(max(covered, 0.0) / lost_s, 1.0)
    quota.at = now
    return gap, unseen


def _place(quota: _Quota, ask: _Ask, gap: float, unseen: float, closed_s: float, now: float) -> float:
    """Return the TAT after what the caller tells."""
    place = quota.places.get(ask.name)
    if place is None:
        place = now if ask.hint is None else now + ask.hint
    if gap > 0:
        place = max(place, now - gap) + gap
    taken = ask.taken + ask.taken_lost * unseen
    if taken > 0:
        place = max(place, now)
    place += taken
    if ask.most >= 0:
        place = max(place, now + ask.depth - ask.most)
    return max(place, quota.gate + ask.depth) if closed_s > 0 else place


def _first(ask: _Ask, places: Mapping[str, float], now: float) -> float:
    """Return when this dimension lets the next call go."""
    return max(places[ask.name], now) + ask.need - max(ask.depth, ask.need)


def _grant(quota: _Quota, ask: _Ask, place: float, first: float, share: float, now: float) -> list[float]:
    """Lease places from the scarcest dimension's first on: an earlier one would have passed by then."""
    start, granted = max(place, first), 0.0
    if ask.want > 0:
        credit = max(now + ask.depth - start, 0.0)
        granted = max(ask.need, min(ask.want, max(share, min(ask.ramp, credit))))
        if ask.call > 0:
            granted = ask.need + math.floor((granted - ask.need) / ask.call + 1e-6) * ask.call
        place = start + granted
    quota.places[ask.name] = place
    total = quota.sums[ask.name] = quota.sums.get(ask.name, 0.0) + granted + ask.taken
    return [start - now, granted, place - now, total]
