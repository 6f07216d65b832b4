"""One stream for many readers: each gets the beginning at once and then follows.

A `Stream` has one reader, and holds permits upstream until it is closed. A `Broadcast` reads it in one task of its
own, as fast as it comes, and keeps what was read; so a slow reader holds up nobody, the permits come free as early as
the upstream allows, and what is kept is no more than the reply itself.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from rushhour.errors import DeadlineExceeded, TruncatedStream
from rushhour.flow.stream import Stream

T = TypeVar("T")


def _as_it_is(item: T) -> T:
    return item


class Broadcast(Generic[T]):
    """Opens and reads one stream for all who `join`; ends, and closes it, when the last of them leaves.

    `begin` returns the stream, or raises; the first reader sets it going in the broadcast's own task, so that he may
    leave without disturbing the others. Once it has returned, each reader has a deadline of his own.
    """

    def __init__(self, begin: Callable[[], Awaitable[Stream[T]]]) -> None:
        self.items: list[T] = []
        """What has been read so far."""
        self._readers = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._opened = False
        self._over = False
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._begin = begin
        self._then: list[Callable[[], None]] = []
        self._pump: asyncio.Task[None] | None = None

    @property
    def opened(self) -> bool:
        """Whether the stream is there."""
        return self._opened

    @property
    def live(self) -> bool:
        """Whether it may still be joined: somebody reads it, and it has not ended."""
        return self._readers > 0 and not self._over

    def then(self, ended: Callable[[], None]) -> None:
        """Call `ended()` when the stream has ended, in whatever way, before any reader is told."""
        self._then.append(ended)

    async def join(self, deadline: float = math.inf, told: Callable[[T], T] = _as_it_is) -> Stream[T]:
        """Wait until the stream is there, and read it from its beginning; each item passes through `told`.

        Raises what `begin` raised, or DeadlineExceeded at `deadline` (event-loop seconds), which also bounds the
        returned stream.
        """
        self._readers += 1
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._read())
            self._pump.add_done_callback(self._ended)
        try:
            await self._wait_until_open(deadline)
        except BaseException:
            await self._leave()
            raise
        stream = Stream(_Replay(self, told), self._leave)
        stream.deadline = deadline
        return stream

    def news(self, have: int) -> asyncio.Future[None] | None:
        """Return what to wait for after `have` items; None if there are more, or will be none."""
        if have < len(self.items) or self._over:
            return None
        reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(reader)
        return reader

    def raise_end(self) -> None:
        """Raise what ended the stream; each reader sees where it came from, not who was told before."""
        if self._error:
            raise self._error.with_traceback(self._trace)

    async def aclose(self) -> None:
        """Stop reading; whoever still follows gets TruncatedStream."""
        if self._pump:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _read(self) -> None:
        stream = await self._begin()
        stream.deadline = math.inf
        async with stream:
            self._opened = True
            self._wake()
            async for item in stream:
                self.items.append(item)
                self._wake()

    def _ended(self, pump: asyncio.Task[None]) -> None:
        self._over = True
        if pump.cancelled():
            self._error = TruncatedStream("The reply was given up before its end; ask again.")
        else:
            self._error = pump.exception()
        self._trace = self._error.__traceback__ if self._error else None
        for told in self._then:
            told()
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for reader in waiting:
            if not reader.done():
                reader.set_result(None)

    async def _wait_until_open(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(None if math.isinf(deadline) else deadline) as patience:
                while not self._opened and (news := self.news(0)):
                    await news
        except TimeoutError:
            if not patience.expired():
                raise
            raise DeadlineExceeded("The reply had not begun to arrive when the deadline passed.") from None
        if not self._opened:
            self.raise_end()

    async def _leave(self) -> None:
        self._readers -= 1
        if not self._readers and not self._over:
            await self.aclose()


class _Replay(Generic[T]):
    """One reader's place in a broadcast."""

    def __init__(self, source: Broadcast[T], told: Callable[[T], T]) -> None:
        self._source = source
        self._told = told
        self._place = 0

    def __aiter__(self) -> _Replay[T]:
        return self

    async def __anext__(self) -> T:
        source = self._source
        while news := source.news(self._place):
            await news
        if self._place == len(source.items):
            source.raise_end()
            raise StopAsyncIteration
        item = source.items[self._place]
        self._place += 1
        return self._told(item)
