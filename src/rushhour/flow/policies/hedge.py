"""Ask a second time when an answer is unusually late, and take whichever comes first (Dean, Barroso 2013).

Only round hops whose repetition has no effect but its price. The second call is made after a high quantile of recent
latencies, within a budget, and only while the limit has room that nobody waits for: `spare` debits it or says no. So a
hedge can never make a rush hour worse. Where calls in flight are capped, the second call holds a permit of the `room`
like any other. After a 429 there is none for a while. Stands innermost, where latency is the upstream's alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
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


class Hedged(Event, frozen=True):
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

    def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Awaitable[Any]:
        """Return the first answer; raise the last failure."""
        self._budget = min(self._budget + self._settings.share, self._settings.burst)
        late = self._latency.value
        if late is None:
            return self._alone(request, call, inner)
        return _Race(self, request, call, inner, max(late, SOONEST_S)).winner()

    async def _alone(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Ask once: what is late is not known yet."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        reply = await inner(request, call)
        self.took(clock() - begun)
        return reply

    def took(self, seconds: float) -> None:
        """Learn how long an answer took."""
        self._latency.add(seconds)

    def grant(self, request: Any, now: float) -> bool:
        """Whether budget, room and quota allow a second call; all three are debited if so."""
        if self._budget < 1 or now < self._bound_until or (self._room and not self._room.free()):
            return False
        if not self._spare(request):
            return False
        self._budget -= 1
        if self._room:
            self._room.reserve()
        return True

    def give_back(self) -> None:
        """Return the permit of one of two calls: it is gone."""
        if self._room:
            self._room.abandon()

    def mind(self, failure: BaseException | None, now: float) -> None:
        """Remember after a 429 that the hop is bound by its limit, even if the other call is answered."""
        if isinstance(failure, Throttled):
            advised = failure.retry_after
            pause = min(advised, LONGEST_BOUND_S) if advised is not None and advised > 0 else BOUND_S
            self._bound_until = max(self._bound_until, now + pause)

    def close(self, reply: Stream[Any]) -> None:
        """Close the stream that a loser had got hold of, then return its permit."""

        def closed(closing: asyncio.Task[None]) -> None:
            self._closing.discard(closing)
            self.give_back()

        closing = asyncio.get_running_loop().create_task(reply.aclose())
        self._closing.add(closing)
        closing.add_done_callback(closed)


class _Race:
    """One call in its caller's own task; once it is late, a second one in a task of its own.

    Most calls are never late, and a task for each of them would cost more than all other policies together. So the
    second one, when it wins, cancels the first as `asyncio.timeout` would: with a cancellation that is taken back.
    """

    __slots__ = (
        "_begun", "_call", "_delay", "_first", "_hedge", "_inner", "_loop", "_lost", "_overtaken", "_request",
        "_second", "_timer",
    )  # fmt: skip

    def __init__(self, hedge: Hedge, request: Any, call: Call, inner: Hop[Any, Any], delay: float) -> None:
        self._hedge, self._request, self._call, self._inner = hedge, request, call, inner
        self._delay, self._loop = delay, asyncio.get_running_loop()
        self._first: asyncio.Task[Any] | None = None
        self._second: asyncio.Task[Any] | None = None
        self._overtaken = self._lost = False

    async def winner(self) -> Any:
        """Return the first answer, once the first call has let go; a second one that lost is dismissed.

        It begins here, in the task that waits: another one may have made the call.
        """
        self._begun = self._loop.time()
        self._timer = self._loop.call_later(self._delay, self._look)
        self._first = task = asyncio.current_task(self._loop)
        cancelling = task.cancelling() if task else 0
        try:
            reply = await self._inner(self._request, self._call)
        except asyncio.CancelledError:
            overtaken = self._first_is_gone()
            if overtaken is None or (task and task.cancelling() > cancelling):
                await self._leave()
                raise
            self._hedge.give_back()
            reply = overtaken.result()
        except RushhourError as failure:
            self._first_is_gone()
            self._hedge.mind(failure, self._loop.time())
            if self._second is None:
                raise
            reply = await self._follow(self._second)
        except BaseException:
            self._first_is_gone()
            self._dismiss()
            raise
        else:
            self._first_is_gone()
            self._dismiss()
        self._hedge.took(self._loop.time() - self._begun)
        return reply

    def _first_is_gone(self) -> asyncio.Task[Any] | None:
        """Stop the watch over the first call; return the second if it has overtaken it, its cancellation taken back."""
        self._timer.cancel()
        task, self._first = self._first, None
        if not self._overtaken or task is None:
            return None
        task.uncancel()
        return self._second

    def _look(self) -> None:
        """Make the second call, or look again soon if there is no room for one now."""
        now = self._loop.time()
        if self._hedge.grant(self._request, now):
            self._second = self._loop.create_task(self._ask_again())
            self._second.add_done_callback(self._second_is_done)
            self._call.emit(Hedged(self._call.hop, now - self._begun))
        else:
            self._timer = self._loop.call_later(max(self._delay / 4, SOONEST_S), self._look)

    async def _ask_again(self) -> Any:
        return await self._inner(self._request, self._call)

    def _second_is_done(self, second: asyncio.Task[Any]) -> None:
        if self._second is None:
            return
        if self._lost or (not second.cancelled() and isinstance(second.exception(), RushhourError)):
            self._part(second)  # if it failed, the first goes on alone
        elif self._first:
            self._overtaken = True
            self._first.cancel()

    async def _follow(self, second: asyncio.Task[Any]) -> Any:
        """Wait for the second call, for the first has failed."""
        try:
            await asyncio.wait([second])
        except asyncio.CancelledError:
            await self._leave()
            raise
        if self._second:
            self._hedge.give_back()
        return second.result()

    async def _leave(self) -> None:
        """Let the second call go with its caller, whose permit is free only when nobody is inside."""
        second = self._second
        self._dismiss()
        if second and not second.done():
            await asyncio.wait([second])

    def _dismiss(self) -> None:
        """Cancel the second call, which nobody waits for any more."""
        second = self._second
        if second is None:
            return
        if second.done():
            self._part(second)
        else:
            self._lost = True
            second.cancel()

    def _part(self, second: asyncio.Task[Any]) -> None:
        """Return the permit of a second call that lost, and close the stream that it had got hold of."""
        self._second = None
        failure = None if second.cancelled() else second.exception()
        self._hedge.mind(failure, self._loop.time())
        reply = None if failure or second.cancelled() else second.result()
        if isinstance(reply, Stream):
            self._hedge.close(reply)
        else:
            self._hedge.give_back()
