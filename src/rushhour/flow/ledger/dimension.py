"""One limit of a provider, on requests or on tokens: configured, or learned from what its replies state."""

from __future__ import annotations

from rushhour.flow.algorithms.gcra import Gcra
from rushhour.flow.algorithms.window import WindowEstimate
from rushhour.flow.allowance import Allowance
from rushhour.flow.ledger.limits import Limits

MARGIN_S = 0.05
"""Seconds' worth of the limit left alone when a bucket's level is learned: calls overtake each other on their way."""
ABSURD = 1e12
"""A limit of this many is none, or a mistake."""
AGREES = 0.01
"""Two statements of one limit may differ by this fraction."""


class Dimension:
    """A bucket that may not be known yet: until then everything is admitted, and counted."""

    def __init__(self, per_minute: float | None, limits: Limits, smallest_burst: float) -> None:
        self._burst_s = limits.burst_s
        self._use = limits.use
        self._smallest_burst = smallest_burst
        self._configured = None if per_minute is None else per_minute / 60
        self._window = WindowEstimate()
        self.taken = 0.0
        self.bucket: Gcra | None = None
        if self._configured is not None:
            self.set_limit(self._configured)

    def set_limit(self, per_second: float) -> None:
        """Pace to a provider's limit of so many units a second; a level that was known before stays."""
        self.set_rate(self._use * per_second, self._burst_s)

    def set_rate(self, rate: float, burst_s: float) -> None:
        """Pace to just this many units a second, and so many seconds' worth at once."""
        burst = max(rate * burst_s, self._smallest_burst, 1e-9)
        if self.bucket is None:
            self.bucket = Gcra(rate, burst)
        else:
            self.bucket.rate, self.bucket.burst = rate, burst

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` is admitted."""
        return self.bucket.wait(cost, now) if self.bucket else 0.0

    def take(self, cost: float, now: float) -> None:
        """Debit and count it."""
        self.taken += cost
        if self.bucket:
            self.bucket.take(cost, now)

    def give_back(self, cost: float) -> None:
        """Credit what was not sent."""
        self.taken -= cost
        if self.bucket:
            self.bucket.give_back(cost)

    def price(self, cost: float) -> float:
        """Seconds of the limit."""
        return cost / self.bucket.rate if self.bucket else 0.0

    def learn(self, told: Allowance | None, sent: float, since: float, now: float) -> bool:
        """Believe what a reply stated about a call that left at `since`; `sent` is what has been taken after it.

        So calls that the provider did not count come back, somebody else's use of the same account is seen, and its
        full rate is used without going over it. Returns whether it could be believed.
        """
        if told is None or told.limit is None or told.remaining is None:
            return False
        if not (0 < told.limit < ABSURD and 0 <= told.remaining <= told.limit):
            return False
        if told.reset_s is not None:
            self._window.add(told.limit, told.remaining, told.reset_s)
        rate = told.limit / (told.window_s or self._window.seconds)
        if not self._believes(rate, sure=told.window_s is not None or self._window.confirmed):
            return False
        if self.bucket is None or abs(self.bucket.rate - self._use * rate) > AGREES * rate:
            self.set_limit(rate)
        if self.bucket:
            left = min(told.remaining + (now - since) * rate, self.bucket.burst) - sent
            self.bucket.correct(left - MARGIN_S * self.bucket.rate, now)
        return True

    def _believes(self, rate: float, *, sure: bool) -> bool:
        """Hold on to a configured limit, unless the provider surely has a lower one."""
        if self._configured is None or abs(rate - self._configured) <= AGREES * self._configured:
            return True
        return sure and rate < self._configured
