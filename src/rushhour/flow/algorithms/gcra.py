"""GCRA: a token bucket kept as one number, the theoretical arrival time (ITU-T I.371).

Each unit of cost moves the theoretical arrival time (TAT) on by 1/rate seconds. A cost is admitted when TAT would
not run ahead of the clock by more than the burst allows. Times are seconds on any monotonic clock.
"""

from __future__ import annotations

import math


class Gcra:
    """Admits `rate` units a second on average, and up to `burst` units at once after a rest.

    Over any window of w seconds at most `burst + rate·w` units are admitted. A single cost above `burst` is admitted
    alone when the bucket is full, since waiting longer could never help it.
    """

    def __init__(self, rate: float, burst: float) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate is {rate!r}; it must be a positive number of units a second")
        if not (burst > 0 and math.isfinite(burst)):
            raise ValueError(f"burst is {burst!r}; it must be a positive number of units")
        self.rate = rate
        self.burst = burst
        self._tat = -math.inf

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` would be admitted; 0 means now."""
        ahead = max(now, self._tat) + cost / self.rate - now
        late = ahead - max(self.burst, cost) / self.rate
        # Rounding must not ask for a wait too short to move the clock, which may have run for months.
        return late if late > 1e-9 + 1e-14 * abs(now) else 0.0

    def take(self, cost: float, now: float) -> None:
        """Debit `cost`; ask `wait` first, or knowingly go into debt."""
        self._tat = max(now, self._tat) + cost / self.rate

    def give_back(self, cost: float) -> None:
        """Credit a cost that was not spent after all."""
        self._tat -= cost / self.rate

    def exhaust(self, now: float) -> None:
        """Forget all burst credit: the provider says its bucket is empty."""
        self._tat = max(self._tat, now + self.burst / self.rate)

    def correct(self, available: float, now: float) -> None:
        """Believe somebody who knows better how much could be taken at once."""
        self._tat = now + (self.burst - min(available, self.burst)) / self.rate

    def available(self, now: float) -> float:
        """Units that could be taken at once; negative while in debt."""
        return self.burst - max(0.0, self._tat - now) * self.rate
