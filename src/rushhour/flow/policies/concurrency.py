"""A cap on calls in flight, fixed or learned from latency; streams keep their permit until they close.

The pacer before it reserves a permit for whoever it lets go, so that one queue decides who is next; a call that enters
without a reservation waits here, interactive first, earliest deadline first. Permits are fungible: a reservation is
claimed by whichever call enters next.

Latency is the time until the hop answered: for a stream until it began, that is its first token, since the length of
an answer says nothing of how busy its sender is.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

from rushhour.errors import AttemptTimeout, DeadlineExceeded
from rushhour.flow.algorithms.gradient import Gradient2
from rushhour.flow.call import Call, Hop
from rushhour.flow.stream import Stream

OVERLOAD = (AttemptTimeout,)
"""Failures that mean too many calls in flight. A 429 is about the rate, a 5xx or a reset about the upstream's health,
which is the breaker's business; other errors are about the request."""

RECENT = 0.1
"""What the latest hold of a permit weighs in the mean of recent ones."""
FEW = 64
"""So many who gave up waiting may lie about in any case."""


class Concurrency:
    """Lets `limit` calls in at once: a number, or a `Gradient2` that learns it. Implements `flow.room.Room`.

    A limit that shrinks below what is in flight admits nobody until enough permits have returned.
    """

    def __init__(self, limit: int | Gradient2) -> None:
        if isinstance(limit, Gradient2):
            self._gradient: Gradient2 | None = limit
            self.limit = limit.limit
        elif limit % 1 or limit < 1:
            raise ValueError(f"the concurrency limit is {limit!r}; it must be a whole number, at least 1")
        else:
            self._gradient = None
            self.limit = limit
        self.in_flight = 0
        self.reserved = 0
        self._hold: float | None = None
        self._freed: list[Callable[[], None]] = []
        self._waiting: list[tuple[int, float, int, asyncio.Future[None]]] = []
        self._gone = 0
        self._order = 0

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Hold a permit round the call, and round the stream it may return."""
        if not self._enter():
            await self._wait(call)
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            reply = await inner(request, call)
        except OVERLOAD:
            self._dropped(clock())
            self._release()
            raise
        except BaseException:
            self._release()
            raise
        if self._gradient:
            self._set_limit(self._gradient.add(clock() - begun, self.in_flight, clock()))
        if isinstance(reply, Stream):
            reply.on_close(lambda error: self._closed(begun, clock(), error))
        else:
            self._held(clock() - begun)
            self._release()
        return reply

    def attach(self, freed: Callable[[], None]) -> None:
        """Call `freed()` whenever a permit was returned or the cap has grown, and nobody here waited for it."""
        self._freed.append(freed)

    def free(self) -> bool:
        """Whether one more call may go now."""
        return self.in_flight + self.reserved < self.limit

    def reserve(self) -> None:
        """Keep a permit for the call that is about to enter; ask `free` first."""
        self.reserved += 1

    def abandon(self) -> None:
        """Return a reservation whose call will not come.

        If a call without one has claimed it meanwhile, that call returns it.
        """
        if self.reserved:
            self.reserved -= 1
            self._pass_on()

    def pace(self) -> float:
        """Seconds between two permits: how long calls held theirs lately, by the limit; 0 while that is not known."""
        return (self._hold or 0.0) / self.limit

    def _enter(self) -> bool:
        """Claim a reservation or a free permit, if there is one."""
        if self.reserved:
            self.reserved -= 1
        elif not self.free():
            return False
        self.in_flight += 1
        return True

    async def _wait(self, call: Call) -> None:
        """Wait for a permit; whoever hands it over counts it in flight."""
        permit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (call.lane, call.deadline, self._order, permit))
        try:
            await permit
        except asyncio.CancelledError:
            if permit.cancelled():
                self._forget_one()
            elif permit.exception() is None:
                self._release()
            raise

    def _release(self) -> None:
        self.in_flight -= 1
        self._pass_on()

    def _pass_on(self) -> None:
        """Hand free permits to those who wait here, then tell the pacers."""
        while self._waiting and self.free():
            _, deadline, _, permit = heapq.heappop(self._waiting)
            if permit.done():
                self._gone -= 1
            elif deadline < asyncio.get_running_loop().time():
                permit.set_exception(DeadlineExceeded("The request's deadline passed while it waited for a permit."))
            else:
                self.in_flight += 1
                permit.set_result(None)
        if self.free():
            for freed in self._freed:
                freed()

    def _forget_one(self) -> None:
        """Sweep out those who gave up waiting when they outnumber the others."""
        self._gone += 1
        if self._gone > len(self._waiting) / 2 + FEW:
            self._waiting = [place for place in self._waiting if not place[-1].done()]
            heapq.heapify(self._waiting)
            self._gone = 0

    def _closed(self, begun: float, now: float, error: BaseException | None) -> None:
        """Take back the permit of a stream; one that broke off tells of overload."""
        if isinstance(error, OVERLOAD):
            self._dropped(now)
        else:
            self._held(now - begun)
        self._release()

    def _held(self, seconds: float) -> None:
        self._hold = seconds if self._hold is None else self._hold + (seconds - self._hold) * RECENT

    def _dropped(self, now: float) -> None:
        if self._gradient:
            self._set_limit(self._gradient.drop(now))

    def _set_limit(self, limit: int) -> None:
        grown = limit > self.limit
        self.limit = limit
        if grown:
            self._pass_on()
