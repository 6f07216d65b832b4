"""Ask a second time when an answer is unusually late, and take whichever comes first (Dean, Barroso 2013).

Only round hops whose repetition has no effect but its price. The second call is made after a high quantile of recent
latencies, within a budget, and only while the limit has room that nobody waits for: `spare` debits it or says no. So a
hedge can never make a rush hour worse. Where calls in flight are capped, the second call holds a permit of the `room`
like any other. After a 429 there is none for a while. Stands innermost, where latency is the upstream's alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
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
        loop = asyncio.get_running_loop()
        begun = loop.time()
        first = _start(inner, request, call)
        racers = {first}
        try:
            await asyncio.wait(racers, timeout=delay)
            while not first.done() and len(racers) == 1:
                if self._may_ask_again(request, loop.time()):
                    self._budget -= 1
                    call.emit(Hedged(call.hop, loop.time() - begun))
                    racers.add(self._second(inner, request, call))
                else:  # late, but no room for a second call: look again soon
                    await asyncio.wait(racers, timeout=max(delay / 4, SOONEST_S))
            winner = await _first_answer(racers)
            self._mind_429s(racers, loop.time())
            racers.discard(winner)
            return winner.result()
        finally:
            for loser in racers:
                loser.cancel()
                loser.add_done_callback(self._close)

    def _may_ask_again(self, request: Any, now: float) -> bool:
        """Whether budget, room and quota allow a second call; the quota is debited if so."""
        if self._budget < 1 or now < self._bound_until or (self._room and not self._room.free()):
            return False
        return self._spare(request)

    def _second(self, inner: Hop[Any, Any], request: Any, call: Call) -> asyncio.Task[Any]:
        second = _start(inner, request, call)
        if self._room:
            room = self._room
            room.reserve()
            second.add_done_callback(lambda _second: room.abandon())
        return second

    def _mind_429s(self, racers: set[asyncio.Task[Any]], now: float) -> None:
        """Remember that the hop is bound by its limit, even if the other call was answered."""
        for racer in racers:
            failure = racer.exception() if racer.done() and not racer.cancelled() else None
            if isinstance(failure, Throttled):
                advised = failure.retry_after
                pause = min(advised, LONGEST_BOUND_S) if advised is not None and advised > 0 else BOUND_S
                self._bound_until = max(self._bound_until, now + pause)

    def _close(self, loser: asyncio.Task[Any]) -> None:
        """Release what a loser had got hold of before it was told."""
        if loser.cancelled() or loser.exception() is not None:
            return
        reply = loser.result()
        if isinstance(reply, Stream):
            closing = asyncio.get_running_loop().create_task(reply.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _start(inner: Hop[Any, Any], request: Any, call: Call) -> asyncio.Task[Any]:
    async def ask() -> Any:
        return await inner(request, call)

    return asyncio.get_running_loop().create_task(ask())


async def _first_answer(racers: set[asyncio.Task[Any]]) -> asyncio.Task[Any]:
    """Wait until one has answered, or all have failed."""
    waiting = racers
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        answered = [racer for racer in done if not isinstance(racer.exception(), RushhourError)]
        if answered or not waiting:
            return (answered or list(done))[0]
