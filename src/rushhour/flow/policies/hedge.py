"""Ask a second time when an answer is unusually late, and take whichever comes first (Dean, Barroso 2013).

Only round hops whose repetition has no effect but its price. The second call is made after a high quantile of recent
latencies, within a budget, and only while the limit has room that nobody waits for: `spare` debits it or says no. So a
hedge can never make a rush hour worse. Stands innermost, where latency is the upstream's alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rushhour.errors import RushhourError
from rushhour.flow.algorithms.quantile import RecentQuantile
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.stream import Stream


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """After which quantile of recent latencies, and for what share of the calls at most."""

    quantile: float = 0.95
    share: float = 0.05
    burst: float = 10.0


@dataclass(frozen=True, slots=True)
class Hedged(Event):
    """No answer after `waited` seconds: a second call was made."""

    waited: float


class Hedge:
    """Make a late call a second time; the loser is cancelled, and closed if it had already answered."""

    def __init__(self, spare: Callable[[Any], bool], settings: HedgeSettings | None = None) -> None:
        self._spare = spare
        self._settings = settings or HedgeSettings()
        self._latency = RecentQuantile(self._settings.quantile)
        self._budget = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the first answer; raise the last failure."""
        self._budget = min(self._budget + self._settings.share, self._settings.burst)
        delay = self._latency.value
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if delay is None:
            reply = await inner(request, call)
            self._latency.add(loop.time() - begun)
            return reply
        first = _start(inner, request, call)
        racers = {first}
        try:
            await asyncio.wait(racers, timeout=delay)
            while not first.done() and len(racers) == 1:
                if self._budget >= 1 and self._spare(request):
                    self._budget -= 1
                    call.emit(Hedged(call.hop, loop.time() - begun))
                    racers.add(_start(inner, request, call))
                else:  # late, but no room for a second call: look again soon
                    await asyncio.wait(racers, timeout=delay / 4)
            winner = await _first_answer(racers)
            self._latency.add(loop.time() - begun)
            racers.discard(winner)
            return winner.result()
        finally:
            for loser in racers:
                loser.cancel()
                loser.add_done_callback(self._close)

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
