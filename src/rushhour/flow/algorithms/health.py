"""How a hop has been doing lately: failure rate and slow-call rate over a sliding window of time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Slice:
    """Outcomes of one slice of the window."""

    begun: float
    calls: int = 0
    failed: int = 0
    slow: int = 0


class HealthWindow:
    """Counts outcomes of the last `seconds` in ten slices; the time is an argument (Resilience4j's time window)."""

    def __init__(self, seconds: float) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"the window is {seconds!r} s; it must be a positive number of seconds")
        self._slice = seconds / 10
        self._seconds = seconds
        self._buckets: deque[Slice] = deque()

    def record(self, now: float, *, failed: bool, slow: bool) -> Slice:
        """Count one outcome; return where it was counted, for `retract`."""
        self._expire(now)
        if not self._buckets or now - self._buckets[-1].begun >= self._slice:
            self._buckets.append(Slice(now))
        bucket = self._buckets[-1]
        bucket.calls += 1
        bucket.failed += failed
        bucket.slow += slow
        return bucket

    def retract(self, where: Slice, *, slow: bool) -> None:
        """Take back an outcome that was no failure, and `slow` or not: it turned out otherwise."""
        where.calls -= 1
        where.slow -= slow

    def rates(self, now: float) -> tuple[int, float, float]:
        """Return calls, failure rate and slow-call rate within the window."""
        self._expire(now)
        calls = sum(bucket.calls for bucket in self._buckets)
        if not calls:
            return 0, 0.0, 0.0
        failed = sum(bucket.failed for bucket in self._buckets)
        slow = sum(bucket.slow for bucket in self._buckets)
        return calls, failed / calls, slow / calls

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()

    def _expire(self, now: float) -> None:
        while self._buckets and now - self._buckets[0].begun >= self._seconds:
            self._buckets.popleft()
