"""How much lately, and how fast: sums in which the past fades. The time is an argument."""

from __future__ import annotations

import math


class Meter:
    """An exponentially fading sum; what is `seconds` old counts a third."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sum = 0.0
        self._at = -math.inf

    def add(self, amount: float, now: float) -> None:
        """Count an amount."""
        self._sum = self.lately(now) + amount
        self._at = now

    def lately(self, now: float) -> float:
        """Return the faded sum: at a steady rate, what comes in `seconds`."""
        if now <= self._at or not self._sum:
            return self._sum
        return self._sum * math.exp((self._at - now) / self._seconds)

    def rate(self, now: float) -> float:
        """Amount a second."""
        return self.lately(now) / self._seconds


class LumpyRate:
    """Amount a second of something that comes in lumps: the mean over stretches of at least `seconds`, smoothed.

    Nothing heard for long means that less and less is known; the rate fades then.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: float | None = None
        self._at = 0.0
        self._sum = 0.0
        self._rate = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count what came since the last time."""
        if self._begun is None:
            self._begun = self._at = now
            return
        self._sum += amount
        if now - self._begun >= self._seconds:
            fresh = self._sum / (now - self._begun)
            self._rate = (self.rate(now) + fresh) / 2 if self._rate else fresh
            self._begun, self._sum, self._at = now, 0.0, now

    def rate(self, now: float) -> float:
        """Amount a second."""
        silent = now - self._at - 2 * self._seconds
        if silent <= 0 or not self._rate:
            return self._rate
        return self._rate * math.exp(-silent / self._seconds)
