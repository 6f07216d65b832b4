"""How long a provider takes: lognormal with a slow tail, from a queue that all its callers share.

Measured times to the first token (median 0.54–0.66 s, p95 0.84–1.09, p99 2.2–4.5) are a lognormal with σ ≈ 0.3 and
one slow call in a hundred. They rise with load, for everybody at once: independent draws would hide just the
coupling that makes a crowd slow.

A provider that refuses (a hosted API) slows its callers down while they share it. One that queues (vLLM and its like)
serves `slots` calls at a time and lets the others wait their turn: the time to the first token grows without bound,
and nobody is told 429.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import Annotated

import msgspec

from rushhour.simulator.draws import Draw

_FULLEST = 0.9


class LatencySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The distribution of a provider's time to answer, in seconds.

    `slow_share` of the calls take a time between the two of `slow_s`; `capacity` is the number of calls at work at
    which the provider would stand still. With `slots`, no more than so many calls are at work, each until its reply
    is through; the others wait first come, first served, and beyond `max_waiting` of them one is told 503.
    """

    median_s: Annotated[float, msgspec.Meta(ge=0)]
    sigma: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.3
    slow_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    slow_s: tuple[Annotated[float, msgspec.Meta(ge=0)], Annotated[float, msgspec.Meta(ge=0)]] = (2.0, 4.0)
    capacity: Annotated[int, msgspec.Meta(ge=1)] = 1000
    slots: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_waiting: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def seconds(self, draw: Draw) -> float:
        """Return the time of one call on an idle provider."""
        if draw.uniform("slow") < self.slow_share:
            return draw.uniform("slowness", *self.slow_s)
        return self.median_s * math.exp(self.sigma * draw.normal("latency"))


def slowdown(at_work: int, capacity: int) -> float:
    """Return the factor on the latency of a call that begins beside `at_work` others: 1/(1 − utilisation), 10 at most.

    The law is that of the M/M/1 queue, bounded, since a provider sheds load rather than stand still.
    """
    return 1.0 / (1.0 - min(at_work / capacity, _FULLEST))


class QueueFull(Exception):
    """So many calls wait for their turn that another is turned away."""


class SharedQueue:
    """The calls in flight on one surface, and how much they slow each other down."""

    def __init__(self, capacity: int, slots: int | None = None, max_waiting: int | None = None) -> None:
        self._capacity = capacity
        self._slots = slots
        self._max_waiting = max_waiting
        self._turns: deque[asyncio.Future[None]] = deque()
        self._at_work = 0
        self.in_flight = 0
        self.peak = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return self.in_flight - self._at_work

    @property
    def takes_turns(self) -> bool:
        """Whether a call may have to wait; if not, `enter` is enough."""
        return self._slots is not None

    def enter(self) -> float:
        """Take a place and return the factor on this call's latency."""
        self.in_flight += 1
        if self.in_flight > self.peak:
            self.peak = self.in_flight
        return self._begin()

    async def turn(self) -> float:
        """Wait for a slot, take it, and return the factor; raises QueueFull where too many wait already."""
        if self._slots is None or self._at_work < self._slots:
            return self.enter()
        if self._max_waiting is not None and self.waiting >= self._max_waiting:
            raise QueueFull
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await turn
        except asyncio.CancelledError:
            self.in_flight -= 1
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # whoever called the next in line may have passed over it
                    self._turns.remove(turn)
            else:  # the slot came together with the cancellation: it goes to the next in line
                self._at_work -= 1
                self._call_next()
            raise
        self._at_work -= 1  # `leave` kept the slot for this call; it begins now
        return self._begin()

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._at_work -= 1
        if self._turns:
            self._call_next()

    def forget_peak(self) -> None:
        """Count the peak from now on."""
        self.peak = self.in_flight

    def _begin(self) -> float:
        factor = slowdown(self._at_work, self._capacity)
        self._at_work += 1
        return factor

    def _call_next(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                self._at_work += 1
                turn.set_result(None)
                return
