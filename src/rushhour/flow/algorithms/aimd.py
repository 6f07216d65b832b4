"""The rate of a limit that nobody tells, found by trying: additive increase, multiplicative decrease (Chiu, Jain 1989).

TCP's congestion control, with requests a second where TCP has a window. A 429 is the congestion signal, and all 429s of
calls that left before the last decrease belong to the same congestion event (Reno's fast recovery). Taken from TCP too
are slow start below the last rate that was known to work, the cut to what was really delivered when the rate is far too
high (Westwood), growth that quickens far above the last cut (CUBIC), and no growth of a rate that is not made use of
(RFC 7661). Times are seconds of any monotonic clock; units are requests, or whatever the limit counts.
"""

from __future__ import annotations

import math
from collections import deque

SPACING_S = 1.0
"""At most one decrease in this time."""
CUT = 0.9
"""What a decrease leaves of the rate."""
DEEPEST_CUT = 0.25
"""What it leaves at least, when far less was delivered than the rate allows."""
STEP = 0.01
"""Units a second that the rate grows by for each unit served: one per cent a second at any rate that is in use."""
SMALLEST_STEP = 0.003
"""The same as a part of the rate, for rates so small that `STEP` would have every tenth call refused."""
SLOW_START = 0.2
"""The same, below the last rate that worked."""
FAR_ABOVE = 1.25
"""From so many times the last rate that worked, growth quickens, as there was no sign of a limit on the way."""
QUICKEST = 5.0
"""By how much it may quicken."""
BIGGEST_STEP = 0.5
"""A step is at most this part of the rate, so that small rates do not leap."""
LEAST = 1 / 60
"""Units a second that are left always: a provider that refuses everything is asked once a minute."""
EVIDENCE = 10.0
"""Units that must have been served before a first 429 says anything of a rate, ..."""
PATIENCE = 3
"""... unless it is one of so many that came at least `SPACING_S` apart; until then the advised wait alone is obeyed."""
RECENTLY_S = 5.0
"""How long the present rates of sending and serving are measured over."""


class Aimd:
    """The rate that a provider without a stated limit seems to allow; None until its first 429.

    Tell it of each call that was sent, served or refused with a 429; `left_at` is when the call in question was sent.
    """

    def __init__(self, least: float = LEAST) -> None:
        if not 0 < least < 1e12:
            raise ValueError(f"the least rate is {least!r}; it must be a positive number of units a second")
        self._least = least
        self._rate: float | None = None
        self._worked = 0.0
        self._cut_at = -math.inf
        self._served_since_cut = False
        self._ever_served = 0.0
        self._refusals = 0
        self._refused_at = -math.inf
        self._sent = _Meter()
        self._served = _Meter()

    @property
    def rate(self) -> float | None:
        """Units a second that may be sent, None while there is no reason for a limit."""
        return self._rate

    def sent(self, now: float, units: float = 1.0) -> None:
        """Count a call that leaves now."""
        self._sent.add(now, units)

    def succeeded(self, left_at: float, now: float, units: float = 1.0) -> None:
        """Let the rate grow by what the call that left at `left_at` was worth, if it left under the present rate."""
        self._served.add(now, units)
        self._ever_served += units
        rate = self._rate
        if rate is None or left_at < self._cut_at:
            return
        self._served_since_cut = True
        if self._sent.rate(now) < rate / 2:
            return
        self._rate = rate + min(self._step(rate) * units, BIGGEST_STEP * rate)

    def throttled(self, left_at: float, now: float) -> None:
        """Lower the rate for a 429, unless it belongs to what the last decrease was for."""
        if self._rate is None:
            if self._convinced(now):
                self._cut(max(self._sent.rate(now), self._least), now)
        elif left_at >= self._cut_at and now - self._cut_at >= SPACING_S:
            self._cut(self._rate, now)

    def _convinced(self, now: float) -> bool:
        """Whether there is a limit to look for, rather than a provider's bad moment."""
        if now - self._refused_at >= SPACING_S:
            self._refusals += 1
            self._refused_at = now
        return self._ever_served >= EVIDENCE or self._refusals >= PATIENCE

    def _step(self, rate: float) -> float:
        if rate < self._worked:
            return SLOW_START
        above = rate / self._worked if self._worked else 1.0
        return min(STEP, SMALLEST_STEP * rate) * min(max(1.0, 10 * (above - FAR_ABOVE) + 1.0), QUICKEST)

    def _cut(self, rate: float, now: float) -> None:
        delivered = min(max(self._served.rate(now) / rate, DEEPEST_CUT), CUT)
        lowered = max(rate * delivered, self._least)
        if self._served_since_cut or self._rate is None:  # one that refuses everything tells nothing of its limit
            self._worked = lowered
        self._rate, self._cut_at, self._served_since_cut = lowered, now, False


class _Meter:
    """Units a second lately: over `RECENTLY_S`, or over the time of the last ten units where they came more slowly."""

    def __init__(self) -> None:
        self._slices: deque[list[float]] = deque()
        self._sum = 0.0

    def add(self, now: float, units: float) -> None:
        self._expire(now)
        if self._slices and now - self._slices[-1][0] < RECENTLY_S / 10:
            self._slices[-1][1] += units
        else:
            self._slices.append([now, units])
        self._sum += units

    def rate(self, now: float) -> float:
        """Over the time since the first unit, but over a second at least."""
        self._expire(now)
        return self._sum / max(now - self._slices[0][0], 1.0) if self._slices else 0.0

    def _expire(self, now: float) -> None:
        slices = self._slices
        while len(slices) > 10 and now - slices[0][0] >= RECENTLY_S:
            self._sum -= slices.popleft()[1]
