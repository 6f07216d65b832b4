"""How many calls in flight an upstream bears, found from its latency: Gradient2 (Netflix, concurrency-limits, 2018).

As long as latency stays near its long-term average, nothing queues upstream, and the limit grows by a little; when it
rises above that average, calls queue there instead of here, and the limit shrinks in proportion. Samples go in, the
limit comes out; who enforces it is somebody else's business. Times are seconds of any monotonic clock.

Where this differs from the original: failed calls shrink the limit too, by their share of the calls of a round trip, so
that a stray failure costs little and an overload halves it; what they took comes back as in TCP's slow start, up to the
limit that was borne, or that failed on the way there; latencies below `FLOOR_S` count as equal; and a window that was
interrupted by silence is thrown away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

STEEPEST = 0.5
"""One window leaves at least this part of the limit, so that a bad moment does not close the door."""
FLOOR_S = 0.005
"""Below this a latency is our own event loop's rather than the upstream's queue."""
LONGEST_S = 86_400.0
"""Nobody waits longer for an answer; a clock has jumped."""
ENOUGH = 10
"""Calls that make a window; a limit smaller than this needs only as many as it lets in."""
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.1, 5.0
"""A window is one round trip long within these bounds, so that each step sees what the last one did."""
WARM_UP = 10
"""Windows that the long-term average is plain over, before it becomes exponential."""
SLOW_START = 1.5
"""What each good window makes of a limit below that which failures have cut: what was borne once will be again."""
FALLING = 0.95
"""What a window leaves of a long-term average that an overload has raised to more than twice the present latency."""
SILENCE_S = 60.0
"""After so long without a call, the window that was begun tells nothing any more."""


class Gradient2:
    """The limit on calls in flight: `g = clamp(tolerance·long/short, 0.5, 1)`, `L' = (1-s)·L + s·(g·L + headroom)`.

    `short` is the mean latency of the present window, `long` its exponential average over `long_windows` windows. While
    fewer than half the permits are in use, latency tells nothing of the limit, which stays.
    """

    def __init__(
        self,
        initial: int = 20,
        minimum: int = 1,
        maximum: int = 200,
        *,
        tolerance: float = 1.5,
        headroom: float = 4.0,
        smoothing: float = 0.2,
        long_windows: int = 600,
    ) -> None:
        _check_bounds(initial, minimum, maximum)
        if not 1 <= tolerance < 100:
            raise ValueError(f"tolerance is {tolerance!r}; it must be at least 1 and below 100 (usually 1.5)")
        if not 0 < headroom <= 1000:
            raise ValueError(f"headroom is {headroom!r}; it must be above 0 and at most 1000 calls (usually 4)")
        if not 0 < smoothing <= 1:
            raise ValueError(f"smoothing is {smoothing!r}; it must be above 0 and at most 1 (usually 0.2)")
        if long_windows < WARM_UP:
            raise ValueError(f"long_windows is {long_windows!r}; it must be at least {WARM_UP} (usually 600)")
        self.minimum, self.maximum = minimum, maximum
        self._tolerance, self._headroom, self._smoothing = tolerance, headroom, smoothing
        self._weight = 2 / (long_windows + 1)
        self._limit = float(initial)
        self._worked = 0.0
        self._climbing = False
        self._long = 0.0
        self._windows = 0
        self._window = _Window(-math.inf)

    @property
    def limit(self) -> int:
        """Calls that may be in flight at once."""
        return int(self._limit)

    def add(self, rtt: float, in_flight: int, now: float) -> int:
        """Take in the latency of a call that was answered, itself counted in `in_flight`; return the limit.

        A latency that no clock can have measured (negative, NaN, days) is left out.
        """
        if not 0 <= rtt <= LONGEST_S or not math.isfinite(now):
            return self.limit
        window = self._current(now)
        window.samples += 1
        window.total += max(rtt, FLOOR_S)
        window.most_in_flight = max(window.most_in_flight, in_flight)
        return self._close(window, now)

    def drop(self, now: float) -> int:
        """Take in a call that failed of overload or ran into its timeout; return the limit."""
        if not math.isfinite(now):
            return self.limit
        window = self._current(now)
        window.drops += 1
        return self._close(window, now)

    def _current(self, now: float) -> _Window:
        """Return the window that a call at this time belongs to."""
        window = self._window
        if not 0 <= now - window.last <= SILENCE_S:  # silence, or a clock that went back
            window = self._window = _Window(now)
        window.last = now
        return window

    def _close(self, window: _Window, now: float) -> int:
        calls = window.samples + window.drops
        if calls >= min(ENOUGH, self._limit) and now - window.begun >= self._span():
            self._window = _Window(now)
            self._step(window)
        return self.limit

    def _span(self) -> float:
        return min(max(self._long, SHORTEST_WINDOW_S), LONGEST_WINDOW_S)

    def _step(self, window: _Window) -> None:
        """Let a window move the limit: its mean latency, and what share of it failed."""
        limit = self._limit
        if window.samples:
            short = window.total / window.samples
            self._remember(short)
            if window.most_in_flight >= limit / 2:
                gradient = min(max(self._tolerance * self._long / short, STEEPEST), 1.0)
                limit += self._smoothing * (gradient * limit + self._headroom - limit)
                if gradient == 1.0 and not window.drops and limit < self._worked:
                    limit = min(limit * SLOW_START, self._worked)
                    self._climbing = True
        if window.drops:
            kept = max(1 - window.drops / (window.samples + window.drops), STEEPEST)
            self._worked = self._limit * kept if self._climbing else max(self._worked, self._limit)
            self._climbing = False
            limit *= kept
        self._limit = min(max(limit, float(self.minimum)), float(self.maximum))

    def _remember(self, short: float) -> None:
        self._windows = min(self._windows + 1, WARM_UP + 1)
        weight = 1 / self._windows if self._windows <= WARM_UP else self._weight
        self._long += (short - self._long) * weight
        if self._long > 2 * short:
            self._long = max(self._long * FALLING, 2 * short)


@dataclass(slots=True, eq=False)
class _Window:
    """The calls of about one round trip."""

    begun: float
    last: float = field(init=False)
    samples: int = 0
    drops: int = 0
    total: float = 0.0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self.last = self.begun


def _check_bounds(initial: int, minimum: int, maximum: int) -> None:
    for name, value in (("initial", initial), ("minimum", minimum), ("maximum", maximum)):
        if value % 1 or not 1 <= value <= 1_000_000:
            raise ValueError(f"{name} is {value!r}; it must be a whole number of calls, from 1 to a million")
    if not minimum <= initial <= maximum:
        raise ValueError(
            f"initial is {initial}, minimum {minimum}, maximum {maximum}; they must be in the order minimum <= initial"
            " <= maximum"
        )
