"""The window of a limit, from what a provider says of it: 500 a minute and 500 a second differ by nothing else.

A continuous bucket of `limit` units that refills in `window` seconds, with `remaining` units left, is full again after
`reset = window * (limit - remaining) / limit`: every reading gives the window, whatever the level. In a fixed window
`reset` is the time until its end and has nothing to do with the level, so its readings contradict each other.
"""

from __future__ import annotations

import math

WINDOWS_S = (1.0, 10.0, 60.0, 3600.0, 86_400.0)
"""The windows that providers use."""
USUAL_S = 60.0
"""What OpenAI, Azure and Anthropic mean by their headers; assumed until readings say otherwise."""
TOLERANCE = 0.1
"""How far a reading may be from a window that it speaks for, beyond what rounding explains."""
COARSE = 0.1
"""A reading that rounding may have moved by more says nothing."""
AGREEING = 5
"""So many readings in a row must speak for one window, ..."""
SPREAD = 1.6
"""... at levels of use so far apart: within one fixed window, use and reset move in opposite directions."""
CONTRADICTING = 20
"""After so many readings in a row against it, a window is no longer believed."""


class WindowEstimate:
    """Infers the seconds in which a limit's bucket refills; `seconds` is a minute until readings agree on another."""

    def __init__(self) -> None:
        self.seconds = USUAL_S
        self._candidate = 0.0
        self._agreed = 0
        self._least_used = math.inf
        self._most_used = 0.0
        self._against = 0

    @property
    def confirmed(self) -> bool:
        """Whether readings at different levels of use agree on `seconds`, rather than it being what is usual."""
        return self._candidate == self.seconds and self._agreed >= AGREEING and self._apart()

    def add(self, limit: float, remaining: float, reset_s: float) -> None:
        """Take a reading in; what is impossible, or so coarse that it fits anything, is left out."""
        if not _possible(limit, remaining, reset_s):
            return
        used = limit - remaining
        error = _error(limit, used, remaining, reset_s)
        if error > COARSE:
            return
        window = _nearest(limit * reset_s / used, TOLERANCE + error)
        if window is None:
            self._contradict()
        else:
            self._agree(window, used)

    def _agree(self, window: float, used: float) -> None:
        if window != self._candidate:
            self._candidate, self._agreed = window, 0
            self._least_used, self._most_used = math.inf, 0.0
        self._agreed += 1
        self._least_used, self._most_used = min(self._least_used, used), max(self._most_used, used)
        if window == self.seconds:
            self._against = 0
        elif self._agreed >= AGREEING and self._apart():
            self.seconds, self._against = window, 0
        else:
            self._doubt()

    def _apart(self) -> bool:
        return self._most_used >= SPREAD * self._least_used

    def _contradict(self) -> None:
        self._candidate = 0.0
        self._doubt()

    def _doubt(self) -> None:
        self._against += 1
        if self._against >= CONTRADICTING:
            self.seconds, self._against = USUAL_S, 0


def _possible(limit: float, remaining: float, reset_s: float) -> bool:
    if not (0 < limit < 1e12 and 0 < reset_s <= 2 * WINDOWS_S[-1]):
        return False
    return 0 <= remaining < limit


def _error(limit: float, used: float, remaining: float, reset_s: float) -> float:
    """How far rounding may have moved a reading: resets are in whole seconds or milliseconds, counts often in 1000s."""
    grain_s = 1.0 if reset_s == int(reset_s) else 0.001
    grain = 1000.0 if limit >= 20_000 and limit % 1000 == remaining % 1000 == 0 else 1.0
    return grain_s / reset_s + grain / used


def _nearest(seconds: float, tolerance: float) -> float | None:
    for window in WINDOWS_S:
        if abs(seconds - window) <= tolerance * window:
            return window
    return None
