"""Replies that arrive over time, from other people's clients: the permit is held until they are closed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from rushhour.errors import TruncatedStream
from rushhour.flow.stream import Stream

Q = TypeVar("Q")
T = TypeVar("T")


class SourceStream(Stream[T]):
    """A stream over what a client returned, which is kept as `source`."""

    def __init__(self, items: SourceItems[T]) -> None:
        super().__init__(items, items.aclose)
        self.source = items.source


async def streamed(source: AsyncIterable[T], finished: Callable[[T], bool] | None = None) -> SourceStream[T]:
    """Wait for the first item of an async iterator, as an SDK's stream object is one, and return the rest as a Stream.

    What fails before the first item fails here, where the call can still be retried. Closing the stream closes the
    source. If `finished` is given, a source that ends without an item for which it is true raises TruncatedStream.
    """
    items = SourceItems(source, finished)
    try:
        await items.first()
    except BaseException:
        await items.aclose()
        raise
    return SourceStream(items)


def streaming(
    function: Callable[[Q], AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
    finished: Callable[[T], bool] | None = None,
) -> Callable[[Q], Awaitable[SourceStream[T]]]:
    """Make a function that streams ready for `protect`: an async generator, or one that returns an SDK's stream."""

    @functools.wraps(function)
    async def ask(request: Q) -> SourceStream[T]:
        source = function(request)
        return await streamed(await source if inspect.isawaitable(source) else source, finished)

    return ask


class SourceItems(Generic[T]):
    """The items of a source, the first of which may have been waited for already."""

    def __init__(self, source: AsyncIterable[T], finished: Callable[[T], bool] | None) -> None:
        self.source = source
        self._items: AsyncIterator[T] = source if isinstance(source, AsyncIterator) else aiter(source)
        self._finished = finished
        self._ready: list[T] = []
        self._whole = finished is None

    async def first(self) -> None:
        """Wait for the first item; a source without any is an empty stream, if it may end there."""
        try:
            self._ready.append(await self._next())
        except StopAsyncIteration:
            return

    def __aiter__(self) -> SourceItems[T]:
        return self

    async def __anext__(self) -> T:
        return self._ready.pop() if self._ready else await self._next()

    async def _next(self) -> T:
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            if not self._whole:
                raise TruncatedStream("The stream ended before its last item came.") from None
            raise
        if self._finished is not None and self._finished(item):
            self._whole = True
        return item

    async def aclose(self) -> None:
        """Close the source in whatever way it can be closed."""
        for holder in (self._items, self.source):
            close: Any = getattr(holder, "aclose", None) or getattr(holder, "close", None)
            if close is None:
                continue
            closing = close()
            if inspect.isawaitable(closing):
                await closing
            if holder is self.source:
                return
