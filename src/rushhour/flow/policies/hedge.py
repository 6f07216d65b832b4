"""Ask a second time when an answer is unusually late, and take whichever comes first (Dean, Barroso 2013).

Only round hops whose repetition has no effect but its price. The second call is made after a high quantile of recent
latencies, within a budget, and only while the limit has room that nobody waits for: `spare` debits it or says no. So a
hedge can never make a rush hour worse. Where calls in flight are capped, the second call holds a permit of the `room`
like any other. After a 429 there is none for a while. Stands innermost, where latency is the upstream's alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rushhour.errors import RushhourError, Throttled
from rushhour.flow.algorithms.quantile import RecentQuantile
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.room import Room
from rushhour.flow.stream import Stream

SOONEST_S = 0.01
"""Nothing is late before this: below it, latency is our own event loop's."""
BOUND_S, LONGEST_BOUND_S = 1.0, 60.0
"""How long after a 429 nothing is asked twice: as long as it advises up to the second, or the first."""


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """After which quantile of recent latencies, and for what share of the calls at most."""

    quantile: float = 0.95
    share: float = 0.05
    burst: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share!r}; it must be from 0 (no hedging) to 1")
        if not self.burst >= 1:
            raise ValueError(f"burst is {self.burst!r}; it must be at least 1, or no call could be hedged")


@dataclass(frozen=True, slots=True)
class Hedged(Event):
    """No answer after `waited` seconds: a second call was made."""

    waited: float


class Hedge:
    """Make a late call a second time; the loser is cancelled, and closed if it had already answered."""

    def __init__(
        self, spare: Callable[[Any], bool], settings: HedgeSettings | None = None, room: Room | None = None
    ) -> None:
        self._spare = spare
        self._settings = settings or HedgeSettings()
        self._room = room
        self._latency = RecentQuantile(self._settings.quantile)
        self._budget = 0.0
        self._bound_until = -math.inf
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the first answer; raise the last failure."""
        self._budget = min(self._budget + self._settings.share, self._settings.burst)
        late = self._latency.value
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if late is None:
            reply = await inner(request, call)
        else:
            reply = await self._race(request, call, inner, max(late, SOONEST_S))
        self._latency.add(loop.time() - begun)
        return reply

    async def _race(self, request: Any, call: Call, inner: Hop[Any, Any], delay: float) -> Any:
        """Let two calls race if the first is late; the loser's permit returns when it is really gone."""
        racers = [_start(inner, request, call)]
        try:
            await self._wait_or_ask_again(racers, request, call, inner, delay)
            winner = await _first_answer(racers)
        except BaseException:
            for racer in racers:
                self._dismiss(racer, holds_permit=racer is not racers[0])
            await asyncio.wait(racers)  # the caller's permit, too, is free only when nobody is inside
            raise
        self._mind_429s(racers, asyncio.get_running_loop().time())
        for racer in racers:
            if racer is not winner:
                self._dismiss(racer, holds_permit=True)
        return winner.result()

    async def _wait_or_ask_again(
        self, racers: list[asyncio.Task[Any]], request: Any, call: Call, inner: Hop[Any, Any], delay: float
    ) -> None:
        """Return when the first call is done, or a second one was made."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.wait(racers, timeout=delay)
        while not racers[0].done():
            if self._may_ask_again(request, loop.time()):
                self._budget -= 1
                if self._room:
                    self._room.reserve()
                racers.append(_start(inner, request, call))
                call.emit(Hedged(call.hop, loop.time() - begun))
                return
            await asyncio.wait(racers, timeout=max(delay / 4, SOONEST_S))  # no room now: look again soon

    def _may_ask_again(self, request: Any, now: float) -> bool:
        """Whether budget, room and quota allow a second call; the quota is debited if so."""
        if self._budget < 1 or now < self._bound_until or (self._room and not self._room.free()):
            return False
        return self._spare(request)

    def _mind_429s(self, racers: list[asyncio.Task[Any]], now: float) -> None:
        """Remember that the hop is bound by its limit, even if the other call was answered."""
        for racer in racers:
            failure = racer.exception() if racer.done() and not racer.cancelled() else None
            if isinstance(failure, Throttled):
                advised = failure.retry_after
                pause = min(advised, LONGEST_BOUND_S) if advised is not None and advised > 0 else BOUND_S
                self._bound_until = max(self._bound_until, now + pause)

    def _dismiss(self, loser: asyncio.Task[Any], *, holds_permit: bool) -> None:
        """Cancel a call that nobody waits for any more, and return its permit once it is gone."""
        loser.cancel()
        loser.add_done_callback(
            partial(self._dismissed, self._room.abandon if self._room and holds_permit else _nothing)
        )

    def _dismissed(self, give_back: Callable[[], None], loser: asyncio.Task[Any]) -> None:
        """Close the stream that a loser had got hold of before it was told."""
        reply = None if loser.cancelled() or loser.exception() is not None else loser.result()
        if not isinstance(reply, Stream):
            give_back()
            return

        def closed(closing: asyncio.Task[None]) -> None:
            self._closing.discard(closing)
            give_back()

        closing = asyncio.get_running_loop().create_task(reply.aclose())
        self._closing.add(closing)
        closing.add_done_callback(closed)


def _nothing() -> None:
    """Give back nothing: the caller's own permit is not ours."""


def _start(inner: Hop[Any, Any], request: Any, call: Call) -> asyncio.Task[Any]:
    async def ask() -> Any:
        return await inner(request, call)

    return asyncio.get_running_loop().create_task(ask())


async def _first_answer(racers: Sequence[asyncio.Task[Any]]) -> asyncio.Task[Any]:
    """Wait until one has answered, or all have failed."""
    waiting = set(racers)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        answered = [racer for racer in done if not isinstance(racer.exception(), RushhourError)]
        if answered or not waiting:
            return (answered or list(done))[0]
