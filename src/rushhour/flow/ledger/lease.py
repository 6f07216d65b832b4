"""Slots leased from a shared limit: whole stretches of the theoretical arrival time, spent in this process.

GCRA keeps a limit as one number, the theoretical arrival time (TAT): every cost moves it on by the seconds of the limit
that the cost uses up. A lease moves it on for many calls at once; whoever holds the stretch spends it from its
beginning. A cost that ends at p may go from `p - depth` on, as GCRA says, and until `grace` after its place: later the
slot has passed unused. Stretches of different holders do not overlap, so over any window of w seconds all of them
together send at most `depth + grace + w` seconds' worth of the limit, or `cost + grace + w` where one cost is larger
than the depth. Only what goes back while others' stretches lie behind it is leased a second time beside them.

The time is an argument. Everything is in seconds: places on the TAT axis in seconds of the caller's clock, costs in
seconds of the limit.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque

TOO_SMALL_S = 1e-7
"""Seconds of a limit that rounding may lose: less than the cost of one token at ten million tokens a second."""

TIMERS_S = 0.05
"""Least time for which a slot stays good after its place: an event loop's timers are no more exact than that."""


class Lease:
    """Stretches of one dimension's TAT; what ends first is spent first."""

    def __init__(self, depth: float, grace: float) -> None:
        self.depth = depth
        self.grace = grace
        self._stretches: deque[tuple[float, float]] = deque()
        self._earliest = math.inf
        self._spent_to = 0.0
        self.held = 0.0

    def add(self, start: float, seconds: float) -> None:
        """Hold `[start, start + seconds)` too."""
        if seconds <= 0:
            return
        end = start + seconds
        if self._stretches and abs(self._stretches[-1][1] - start) < TOO_SMALL_S:
            start = self._stretches.pop()[0]
        # What went back to the others may be leased again, so a later lease can begin before an earlier one ends.
        insort(self._stretches, (start, end), key=_ends)
        self._measure()

    def expire(self, now: float, cost: float = 0.0) -> None:
        """Forget the places that have passed: sooner for a cost that leaves the bucket no room for being late."""
        if self._earliest >= now:
            return
        late = min(max(self.depth + self.grace - cost, TIMERS_S), self.grace)
        self.drop_before(now - late)

    def drop_before(self, place: float) -> None:
        """Forget all places before this one."""
        if self._earliest >= place:
            return
        self._stretches = deque((max(start, place), end) for start, end in self._stretches if end > place)
        self._measure()

    def ready(self, cost: float) -> float | None:
        """Return when this cost may go, or None if less than that is held.

        A cost above the depth goes when the bucket is full, since waiting longer could never help it.
        """
        least = cost - TOO_SMALL_S
        left, reached = least, -math.inf
        for start, end in self._stretches:
            length = end - start
            reached = max(reached, start if left <= 0 else start + left if left < length else end)
            if left <= length:
                return reached - max(self.depth, least)
            left -= length
        return None

    def spend(self, cost: float) -> float:
        """Take a cost from the beginning; return what was not there to take."""
        while cost > TOO_SMALL_S and self._stretches:
            start, end = self._stretches[0]
            taken = min(cost, end - start)
            cost -= taken
            self._spent_to = start + taken
            if end - self._spent_to <= TOO_SMALL_S:
                self._stretches.popleft()
            else:
                self._stretches[0] = (self._spent_to, end)
        self._measure()
        return cost if cost > TOO_SMALL_S else 0.0

    def restore(self, cost: float) -> None:
        """Hold a cost again that was spent but not sent."""
        start, end = self._stretches.popleft() if self._stretches else (self._spent_to, self._spent_to)
        self._stretches.appendleft((start - cost, end))
        self._measure()

    def last_ready(self) -> float:
        """When the last of it may go; the past where nothing is held."""
        return self._stretches[-1][1] - self.depth if self._stretches else float("-inf")

    def cut(self, keep: float, now: float) -> float:
        """Give up all but the first `keep` seconds; return how much of that still lies ahead and can be returned."""
        returned = 0.0
        while self._stretches and self.held - keep > TOO_SMALL_S:
            start, end = self._stretches.pop()
            cut_at = max(start, end - (self.held - keep))
            returned += max(0.0, end - max(cut_at, now))
            if cut_at > start:
                insort(self._stretches, (start, cut_at), key=_ends)
            self._measure()
        return returned

    def _measure(self) -> None:
        held, earliest = 0.0, math.inf
        for start, end in self._stretches:
            held += end - start
            if start < earliest:
                earliest = start
        self.held, self._earliest = held, earliest


def _ends(stretch: tuple[float, float]) -> float:
    return stretch[1]
