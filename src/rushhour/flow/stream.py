"""A reply that arrives over time, and holds its permits until it is closed.

An async generator that is never started never runs its `finally`, so permits must not depend on one. A `Stream`
is an object: whoever gave a permit registers `on_close`, and closing happens exactly once, however the stream
ends: exhausted, failed, out of time, or left by its reader.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from rushhour.errors import DeadlineExceeded

T = TypeVar("T")
OnClose = Callable[[BaseException | None], None]


async def _nothing() -> None:
    """Close nothing."""


class Stream(Generic[T]):
    """Items of one reply in order; use as `async with stream: async for item in stream`.

    `deadline` (event-loop seconds) bounds every wait for an item, so a slow drip ends too.
    """

    def __init__(self, items: AsyncIterator[T], close: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._items = items
        self._close = close
        self._on_close: list[OnClose] = []
        self._closed = False
        self.deadline = math.inf

    def on_close(self, then: OnClose) -> None:
        """Call `then(error or None)` once when the stream is closed; at once if it already is."""
        if self._closed:
            then(None)
        else:
            self._on_close.append(then)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._closed:
            raise StopAsyncIteration
        try:
            return await self._next()
        except StopAsyncIteration:
            await self._finish(None)
            raise
        except BaseException as cause:
            await self._finish(cause)
            raise

    async def _next(self) -> T:
        if math.isinf(self.deadline):
            return await anext(self._items)
        try:
            async with asyncio.timeout_at(self.deadline) as patience:
                return await anext(self._items)
        except TimeoutError:
            if patience.expired():
                raise DeadlineExceeded("The answer was still arriving when the deadline passed.") from None
            raise

    async def aclose(self) -> None:
        """Leave the stream: close what is upstream and return every permit."""
        await self._finish(None)

    async def _finish(self, cause: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        callbacks, self._on_close = self._on_close, []
        for then in callbacks:  # permits first: closing upstream may be cancelled
            then(cause)
        await self._close()

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._finish(error)
