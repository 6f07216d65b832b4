"""A cap on calls in flight; urgent callers get the next free permit, and streams keep theirs until they close."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

from rushhour.flow.call import Call, Hop
from rushhour.flow.stream import Stream


class Concurrency:
    """Lets `limit` calls in at once; the rest wait, interactive first, earliest deadline first."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"the concurrency limit is {limit!r}; it must be at least 1")
        self.limit = limit
        self.in_flight = 0
        self._waiting: list[tuple[int, float, int, asyncio.Future[None]]] = []
        self._order = 0

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Hold a permit round the call, and round the stream it may return."""
        await self._acquire(call)
        try:
            reply = await inner(request, call)
        except BaseException:
            self._release()
            raise
        if isinstance(reply, Stream):
            reply.on_close(lambda _error: self._release())
        else:
            self._release()
        return reply

    async def _acquire(self, call: Call) -> None:
        if self.in_flight < self.limit:
            self.in_flight += 1
            return
        permit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (call.lane, call.deadline, self._order, permit))
        try:
            await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        """Hand the permit to whoever is next, or put it back."""
        while self._waiting:
            *_, permit = heapq.heappop(self._waiting)
            if not permit.done():
                permit.set_result(None)
                return
        self.in_flight -= 1
