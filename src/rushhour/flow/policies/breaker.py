"""Stop calling what does not answer; probe it, and go on when it does (Nygard, "Release It!").

Two halves of one policy. The breaker itself stands outside the pacer, so that an open circuit costs no quota and no
queueing. Its `watch` stands right round the adapter, so that time in our own queue is never mistaken for a slow
upstream. A 429 is no failure (rule 9), nor does it prove health: as the answer to a probe it leaves the circuit half
open, for the next one. An account without money opens the circuit at once, since every further call would fail alike.

A stream has answered when it begins; if it breaks off later, that is a failure instead. What was sent before the
circuit opened tells nothing of what is behind it now, however late it comes in.
"""

from __future__ import annotations

import asyncio
import enum
import math
import random
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from rushhour.errors import CircuitOpen, QuotaExhausted, RushhourError, Throttled, UpstreamError
from rushhour.flow.algorithms.health import HealthWindow, Slice
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.stream import Stream


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and for how long.

    Opens at `failure_rate` or `slow_rate` of at least `minimum_calls` in `window_s` seconds; a call is slow above
    `slow_s`. Stays open for `open_s`, jittered, and doubling up to `open_cap_s` until it has stayed closed for
    `window_s`; then lets `probes` calls in at once.
    """

    window_s: float = 10.0
    minimum_calls: int = 20
    failure_rate: float = 0.5
    slow_rate: float = 0.9
    slow_s: float = 30.0
    open_s: float = 1.0
    open_cap_s: float = 60.0
    probes: int = 2

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be above 0 and at most 1")
        for name in ("window_s", "slow_s", "open_s", "open_cap_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a positive number of seconds")
        for name in ("minimum_calls", "probes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be at least 1")


class Opened(Event, frozen=True):
    """The circuit opened for `seconds` because of `why`."""

    seconds: float
    why: str


class Closed(Event, frozen=True):
    """A probe succeeded: the circuit is closed."""


class _State(enum.Enum):
    CLOSED = enum.auto()
    OPEN = enum.auto()
    PROBING = enum.auto()


class _Attempt(msgspec.Struct, eq=False):
    """One call at the adapter; `openings` is how often the circuit had opened when it left."""

    call: Call
    begun: float
    openings: int
    probe: bool
    counted: Slice | None = None
    slow: bool = False


class Breaker:
    """One circuit; use it as a policy, and `watch` as the policy nearest to the adapter."""

    def __init__(self, settings: BreakerSettings | None = None, rng: random.Random | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._random = rng or random.Random()
        self._window = HealthWindow(self._settings.window_s)
        self._state = _State.CLOSED
        self._until = 0.0
        self._closed_at = -math.inf
        self._openings = 0
        self._opened_in_a_row = 0
        self._admitted = 0
        self._probing = 0
        self._why = ""
        self._penniless = False

    def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Awaitable[Any]:
        """Refuse while open; let a few probes through when half open; be nothing in between while closed."""
        return inner(request, call) if self._state is _State.CLOSED else self._probe(request, call, inner)

    async def _probe(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        probe = self._is_probe(self._admitted, call)
        self._admitted += probe
        try:
            return await inner(request, call)
        finally:
            self._admitted -= probe

    async def watch(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Measure one attempt: its outcome, and the time until its reply or its first token.

        Refuses too, for those who waited for their turn while the circuit opened.
        """
        clock = asyncio.get_running_loop().time
        attempt = _Attempt(call, clock(), self._openings, self._is_probe(self._probing, call))
        self._probing += attempt.probe
        try:
            reply = await inner(request, call)
        except RushhourError as cause:
            self._failed(attempt, cause, clock())
            raise
        except asyncio.CancelledError:
            self._left(attempt, clock())
            raise
        finally:
            self._probing -= attempt.probe
        self._answered(attempt, clock())
        if isinstance(reply, Stream):
            reply.on_close(partial(self._ended, attempt))
        return reply

    def _is_probe(self, probes: int, call: Call) -> bool:
        """Whether a call that enters now is a probe; CircuitOpen if it may not even be that."""
        if self._state is _State.CLOSED:
            return False
        now = asyncio.get_running_loop().time()
        if self._state is _State.OPEN and now >= self._until:
            self._state = _State.PROBING
        if self._state is _State.PROBING and probes < self._settings.probes:
            return True
        raise self._refusal(now, call)

    def _refusal(self, now: float, call: Call) -> CircuitOpen | QuotaExhausted:
        """Say that it rests; an empty account as what it is, so that nobody waits for the next probe."""
        rest = max(self._until - now, self._settings.open_s / 2)
        name = call.hop or "The upstream"
        if self._penniless:
            return QuotaExhausted(f"{self._why} {name} is asked again in {rest:.1f} s.", retry_after=rest)
        return CircuitOpen(
            f"{name} rests after failures ({self._why}); it is probed again in {rest:.1f} s.", retry_after=rest
        )

    def _failed(self, attempt: _Attempt, cause: RushhourError, now: float) -> None:
        if isinstance(cause, Throttled) or not isinstance(cause, UpstreamError):
            return
        if isinstance(cause, QuotaExhausted):
            self._open(now, str(cause), attempt.call)
            self._penniless = True
        elif cause.may_pass:
            self._count(attempt, now, cause)
        else:  # it refuses this request, so it is alive
            self._answered(attempt, now)

    def _left(self, attempt: _Attempt, now: float) -> None:
        """Whoever lost patience after a short time says nothing of the upstream."""
        if now - attempt.begun > self._settings.slow_s:
            self._count(attempt, now, "no reply for {:.1f} s")

    def _answered(self, attempt: _Attempt, now: float) -> None:
        self._count(attempt, now, "{:.1f} s for a reply")

    def _ended(self, attempt: _Attempt, error: BaseException | None) -> None:
        """Count a stream that broke off as a failure, and no longer as an answer."""
        if not isinstance(error, UpstreamError) or isinstance(error, Throttled):
            return
        if attempt.counted:
            self._window.retract(attempt.counted, slow=attempt.slow)
            attempt.counted = None
        self._failed(attempt, error, asyncio.get_running_loop().time())

    def _count(self, attempt: _Attempt, now: float, outcome: RushhourError | str) -> None:
        """Let an outcome change the state, unless the circuit has opened since the call left.

        What is no failure tells how long it was, and is written out only where that is why the circuit opens.
        """
        if attempt.openings != self._openings:
            return
        failed, seconds = not isinstance(outcome, str), now - attempt.begun
        attempt.slow = seconds > self._settings.slow_s
        if not failed and not attempt.slow:
            if self._state is _State.PROBING:
                self._close(now, attempt.call)
            attempt.counted = self._window.record(now, failed=False, slow=False)
            return
        why = outcome.format(seconds) if isinstance(outcome, str) else str(outcome)
        if self._state is _State.PROBING:
            self._open(now, why, attempt.call)
            return
        attempt.counted = self._window.record(now, failed=failed, slow=attempt.slow)
        calls, failure_rate, slow_rate = self._window.rates(now)
        limits = self._settings
        unwell = failure_rate >= limits.failure_rate or slow_rate >= limits.slow_rate
        if calls >= limits.minimum_calls and unwell:
            self._open(now, why, attempt.call)

    def _close(self, now: float, call: Call) -> None:
        self._state, self._closed_at = _State.CLOSED, now
        call.emit(Closed(call.hop))

    def _open(self, now: float, why: str, call: Call) -> None:
        if self._state is _State.OPEN and now < self._until:
            return
        if self._state is _State.CLOSED and now - self._closed_at >= self._settings.window_s:
            self._opened_in_a_row = 0
        seconds = min(self._settings.open_s * 2**self._opened_in_a_row, self._settings.open_cap_s)
        seconds *= self._random.uniform(0.8, 1.2)
        self._opened_in_a_row = min(self._opened_in_a_row + 1, 30)
        self._openings += 1
        self._state, self._until, self._why, self._penniless = _State.OPEN, now + seconds, why, False
        self._window.clear()
        call.emit(Opened(call.hop, seconds, why))
