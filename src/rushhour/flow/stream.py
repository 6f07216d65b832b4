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


class _Patience:
    """Bounds one wait after another as `asyncio.timeout_at` does, with one timer for all: a third of a wait's cost."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._waiting: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._passed = False
        self._interrupted = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle = self._loop.call_at(deadline, self._expire)

    def stop(self) -> None:
        """Forget the deadline."""
        self._timer.cancel()

    def _expire(self) -> None:
        self._passed = True
        if self._waiting:
            self._interrupted = True
            self._waiting.cancel()

    def __enter__(self) -> None:
        self._waiting = task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a stream is read inside a task")
        self._cancelling = task.cancelling()
        if self._passed:  # what has arrived can be read without a wait; a wait ends at once
            self._timer = self._loop.call_soon(self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._waiting = self._waiting, None
        interrupted, self._interrupted = self._interrupted, False
        if self._passed:
            self._timer.cancel()
        if interrupted and task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExceeded("The answer was still arriving when the deadline passed.") from None


class Stream(Generic[T]):
    """Items of one reply in order; use as `async with stream: async for item in stream`.

    `deadline` (event-loop seconds) bounds every wait for an item, so a slow drip ends too. What has arrived by then
    may still be read. `whole` says that it was read to its end, which a reader who leaves early does not.
    """

    def __init__(self, items: AsyncIterator[T], close: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._items = items
        self._close = close
        self._on_close: list[OnClose] = []
        self._closed = False
        self._patience: _Patience | None = None
        self.deadline = math.inf
        self.whole = False

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
            if self.deadline == math.inf:
                return await anext(self._items)
            with self._bounded():
                return await anext(self._items)
        except StopAsyncIteration:
            self.whole = True
            await self._finish(None)
            raise
        except BaseException as cause:
            await self._finish(cause)
            raise

    def _bounded(self) -> _Patience:
        if self._patience is None or self._patience.deadline != self.deadline:
            self._forget_deadline()
            self._patience = _Patience(self.deadline)
        return self._patience

    def _forget_deadline(self) -> None:
        if self._patience:
            self._patience.stop()
            self._patience = None

    async def aclose(self) -> None:
        """Leave the stream: close what is upstream and return every permit."""
        if not self._closed:
            await self._finish(None)

    async def _finish(self, cause: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._forget_deadline()
        callbacks, self._on_close = self._on_close, []
        for then in callbacks:  # permits first: closing upstream may be cancelled
            then(cause)
        await self._close()

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            await self._finish(error)
