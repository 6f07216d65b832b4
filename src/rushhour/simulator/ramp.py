"""The ramp limiter: traffic may be large, but may not grow steeply (429 `slow_down`, even inside RPM and TPM).

The published rule of thumb: above 1M input tokens a minute, grow by at most 50 % per 15 minutes. Here a level, in
units a minute, bounds what any 60 s may hold. It never falls below `above`; it rises by the growth while the client
uses the better part of it, and falls as fast while it does not: whoever was quiet for a night ramps up anew. Pure:
the time, in seconds of any clock, is an argument.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

import msgspec

_WINDOW_S = 60
_ROUNDING = 1.0 + 1e-9


class RampSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How traffic may grow: by the share `growth` in `per_s` seconds, once it is above so many units a minute."""

    above_tpm: Annotated[int, msgspec.Meta(ge=1)] | None = 1_000_000
    above_rpm: Annotated[int, msgspec.Meta(ge=1)] | None = None
    growth: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    per_s: Annotated[float, msgspec.Meta(gt=0)] = 900.0


class Ramp:
    """The level of one dimension, and what the last minute held, by the second."""

    def __init__(self, above: float, growth: float, per_s: float, now: float = 0.0) -> None:
        self._above = above
        self._growth = growth
        self._per_s = per_s
        self._level = float(above)
        self._total = 0.0
        self._seconds: deque[tuple[int, float]] = deque()
        self._at = now

    def level(self, now: float) -> float:
        """Return the units that the minute up to `now` may hold."""
        while self._seconds and self._seconds[0][0] + _WINDOW_S <= now:
            self._total -= self._seconds.popleft()[1]
        elapsed, self._at = max(0.0, now - self._at), max(now, self._at)
        rising = self._total * (1.0 + self._growth) >= self._level
        step = (1.0 + self._growth) ** (elapsed / self._per_s)
        self._level = max(self._above, self._level * step if rising else self._level / step)
        return self._level

    def fits(self, cost: float, now: float) -> bool:
        """Tell whether `cost` may pass now; a first call always may."""
        level = self.level(now)
        return not self._seconds or self._total + cost <= level * _ROUNDING

    def take(self, cost: float, now: float) -> None:
        """Count `cost`, asked first whether it fits."""
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            cost_before = self._seconds.pop()[1]
            self._seconds.append((second, cost_before + cost))
        else:
            self._seconds.append((second, cost))
        self._total += cost

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until enough of the last minute is past for `cost` to fit."""
        missing = self._total + cost - self.level(now)
        for second, amount in self._seconds:
            missing -= amount
            if missing <= 0:
                return second + _WINDOW_S - now
        return float(_WINDOW_S)
