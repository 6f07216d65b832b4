"""Stop calling what does not answer; probe it, and go on when it does (Nygard, "Release It!").

Two halves of one policy. The breaker itself stands outside the pacer, so that an open circuit costs no quota and no
queueing. Its `watch` stands right round the adapter, so that time in our own queue is never mistaken for a slow
upstream. A 429 counts as health, never as failure (rule 9); an account without money opens the circuit at once, since
every further call would fail alike.
"""

from __future__ import annotations

import asyncio
import enum
import random
from dataclasses import dataclass
from typing import Any

from rushhour.errors import CircuitOpen, QuotaExhausted, RushhourError, Throttled
from rushhour.flow.algorithms.health import HealthWindow
from rushhour.flow.call import Call, Event, Hop


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and for how long.

    Opens at `failure_rate` or `slow_rate` of at least `minimum_calls` in `window_s` seconds; a call is slow above
    `slow_s`. Stays open for `open_s`, doubling up to `open_cap_s`, jittered; then lets `probes` calls in at once.
    """

    window_s: float = 10.0
    minimum_calls: int = 20
    failure_rate: float = 0.5
    slow_rate: float = 0.9
    slow_s: float = 30.0
    open_s: float = 1.0
    open_cap_s: float = 60.0
    probes: int = 2


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """The circuit opened for `seconds` because of `why`."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """A probe succeeded: the circuit is closed."""


class _State(enum.Enum):
    CLOSED = enum.auto()
    OPEN = enum.auto()
    PROBING = enum.auto()


class Breaker:
    """One circuit; use it as a policy, and `watch` as the policy nearest to the adapter."""

    def __init__(self, settings: BreakerSettings | None = None, rng: random.Random | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._random = rng or random.Random()
        self._window = HealthWindow(self._settings.window_s)
        self._state = _State.CLOSED
        self._until = 0.0
        self._opened_in_a_row = 0
        self._probes = 0
        self._why = ""

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Refuse while open; let a few probes through when half open."""
        probing = self._admit(call)
        try:
            return await inner(request, call)
        finally:
            self._probes -= probing

    async def watch(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Measure one attempt: its outcome, and the time until its reply or its first token."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if self._state is _State.OPEN:  # it opened while this call waited for its turn
            raise self._refusal(begun, call)
        try:
            reply = await inner(request, call)
        except RushhourError as cause:
            self._failed(cause, loop.time() - begun, loop.time(), call)
            raise
        self._answered(loop.time() - begun, loop.time(), call)
        return reply

    def _admit(self, call: Call) -> bool:
        now = asyncio.get_running_loop().time()
        if self._state is _State.CLOSED:
            return False
        if self._state is _State.OPEN and now >= self._until:
            self._state = _State.PROBING
        if self._state is _State.PROBING and self._probes < self._settings.probes:
            self._probes += 1
            return True
        raise self._refusal(now, call)

    def _refusal(self, now: float, call: Call) -> CircuitOpen:
        rest = max(self._until - now, self._settings.open_s / 2)
        name = call.hop or "The upstream"
        return CircuitOpen(
            f"{name} rests after failures ({self._why}); it is probed again in {rest:.1f} s.", retry_after=rest
        )

    def _failed(self, cause: RushhourError, took: float, now: float, call: Call) -> None:
        if isinstance(cause, Throttled):
            return
        if isinstance(cause, QuotaExhausted):
            self._open(now, str(cause), call)
            return
        if not cause.may_pass:  # it refuses this request, so it is alive
            self._answered(took, now, call)
            return
        self._record(now, failed=True, slow=took > self._settings.slow_s, why=str(cause), call=call)

    def _answered(self, took: float, now: float, call: Call) -> None:
        if self._state is _State.PROBING:
            self._state = _State.CLOSED
            self._opened_in_a_row = 0
            self._window.clear()
            call.emit(Closed(call.hop))
        slow = took > self._settings.slow_s
        self._record(now, failed=False, slow=slow, why=f"{took:.1f} s for a reply", call=call)

    def _record(self, now: float, *, failed: bool, slow: bool, why: str, call: Call) -> None:
        self._window.record(now, failed=failed, slow=slow)
        if self._state is _State.PROBING and failed:
            self._open(now, why, call)
            return
        calls, failure_rate, slow_rate = self._window.rates(now)
        limits = self._settings
        unwell = failure_rate >= limits.failure_rate or slow_rate >= limits.slow_rate
        if self._state is _State.CLOSED and calls >= limits.minimum_calls and unwell:
            self._open(now, why, call)

    def _open(self, now: float, why: str, call: Call) -> None:
        if self._state is _State.OPEN and now < self._until:
            return
        seconds = min(self._settings.open_s * 2**self._opened_in_a_row, self._settings.open_cap_s)
        seconds *= self._random.uniform(0.8, 1.2)
        self._opened_in_a_row = min(self._opened_in_a_row + 1, 30)
        self._state, self._until, self._why = _State.OPEN, now + seconds, why
        self._window.clear()
        call.emit(Opened(call.hop, seconds, why))
