"""Nothing is paid for twice: a reply that was bought is kept, a call in flight is joined (rule 11)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from rushhour.errors import DeadlineExceeded, Refusal
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.shared_tier import SharedTier


class Reused(Event, frozen=True):
    """The reply came from the `cache`, or from a call `in_flight` that somebody else had begun."""

    how: str


class Cache(Protocol):
    """Where replies are kept; None means not there."""

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept."""
        ...

    def put(self, key: Hashable, value: Any) -> None:
        """Keep it."""
        ...


class LruCache:
    """Keeps the `capacity` most recently used replies in this process."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"the cache's capacity is {capacity!r}; it must be at least 1")
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept, and remember that it was wanted."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Hashable, value: Any) -> None:
        """Keep it, and drop what was wanted longest ago."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


@dataclass(slots=True, eq=False)
class _Flight:
    """A call in flight and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class Reuse:
    """Answer equal requests with one call; `key` says what is equal, None means never reuse.

    `shared` is asked after `cache`, once for all who wait for the same reply. Not for streams: a stream has one
    reader. The call ends when the last one who waits for it leaves.
    """

    def __init__(
        self,
        key: Callable[[Any, Call], Hashable | None],
        cache: Cache | None = None,
        shared: SharedTier[Any] | None = None,
    ) -> None:
        self._key = key
        self._cache = cache
        self._shared = shared
        self._flights: dict[Hashable, _Flight] = {}

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the kept reply, or join the call in flight, or make it."""
        key = self._key(request, call)
        if key is None:
            return await inner(request, call)
        if self._cache is not None and (kept := self._cache.get(key)) is not None:
            call.emit(Reused(call.hop, "cache"))
            return kept
        while (flight := self._flights.get(key)) is not None:
            call.emit(Reused(call.hop, "in_flight"))
            try:
                return await self._join(key, flight)
            except (DeadlineExceeded, Refusal):
                # Whoever began it had less patience than we have.
                if call.deadline <= asyncio.get_running_loop().time():
                    raise
        return await self._join(key, self._depart(key, request, call, inner))

    def _depart(self, key: Hashable, request: Any, call: Call, inner: Hop[Any, Any]) -> _Flight:
        flight = _Flight(asyncio.ensure_future(self._fly(key, request, call, inner)))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda task: self._landed(key, flight, task))
        return flight

    async def _fly(self, key: Hashable, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        if self._shared is not None and (kept := await self._shared.get(key)) is not None:
            call.emit(Reused(call.hop, "cache"))
            self._keep(key, kept)
            return kept
        reply = await inner(request, call)
        self._keep(key, reply)
        if self._shared is not None:
            self._shared.put(key, reply)
        return reply

    def _keep(self, key: Hashable, reply: Any) -> None:
        if self._cache is not None:
            self._cache.put(key, reply)

    def _landed(self, key: Hashable, flight: _Flight, task: asyncio.Task[Any]) -> None:
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # seen: whoever still waits gets it, and nobody may be left to

    def _forget(self, key: Hashable, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _join(self, key: Hashable, flight: _Flight) -> Any:
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(key, flight)  # at once: who comes now must not join what is being cancelled
                flight.task.cancel()
