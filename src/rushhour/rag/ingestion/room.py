"""How much an ingestion holds in memory: few files that are being read, many chunks that are being embedded."""

from __future__ import annotations

import asyncio
from collections import deque

from rushhour.errors import RushhourError


class ChunkRoom:
    """Room for the chunks of files between being cut and being visible; in the order of arrival.

    A file with more than `capacity` chunks takes all of it.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._free = capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, chunks: int) -> int:
        """Wait for room; return what has to be given to `leave`."""
        size = min(chunks, self._capacity)
        if not self._waiting and size <= self._free:
            self._free -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (size, turn)
        self._waiting.append(place)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(size)  # it was this one's turn at that very moment
            elif place in self._waiting:
                self._waiting.remove(place)
                self._admit()
            raise
        return size

    def leave(self, size: int) -> None:
        """Make room for those who wait."""
        self._free += size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


class Permits:
    """Bounds the texts that are being bought at any moment; closed by an error that would befall every other too."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._closed: RushhourError | None = None

    async def acquire(self) -> None:
        """Wait for a permit; raises what closed them."""
        await self._free.acquire()
        if self._closed is not None:
            self._free.release()
            raise self._closed

    def release(self) -> None:
        """Give a permit back."""
        self._free.release()

    def close(self, cause: RushhourError) -> None:
        """Give out no more."""
        self._closed = self._closed or cause
