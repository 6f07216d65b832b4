"""One attempt at somebody's own function: the innermost hop, where foreign errors become ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from rushhour.errors import AttemptTimeout, RushhourError
from rushhour.flow.allowance import LimitHeaders, LimitsSeen
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.limit_headers import limit_headers
from rushhour.library.foreign_errors import Translate

Q = TypeVar("Q")
R = TypeVar("R")
LimitsOf = Callable[[Any], Mapping[str, Any] | LimitHeaders | None]


class Attempt(Generic[Q, R]):
    """Calls `function`, waits `timeout_s` at most (None: for ever), and tells the limits that the reply states.

    The time is until a reply or a stream's first item, and for each further item anew.
    """

    def __init__(
        self,
        function: Callable[[Q], Awaitable[R]],
        translate: Translate,
        limits_of: LimitsOf,
        timeout_s: float | None,
    ) -> None:
        self._function = function
        self._translate = translate
        self._limits_of = limits_of
        self._timeout_s = timeout_s

    async def __call__(self, request: Q, call: Call) -> R:
        """Return the function's reply; raise what it raises, translated where that is known."""
        with _Translating(self._translate, call):
            reply = await in_time(self._function(request), self._timeout_s)
        if not isinstance(reply, Stream):
            _tell(self._limits_of(reply), call)
            return reply
        try:
            _tell(self._limits_of(reply), call)
        except BaseException:
            await reply.aclose()
            raise
        items: Any = Stream(_Items(reply, self._translate, call, self._timeout_s), reply.aclose)
        result: R = items
        return result


class _Items(Generic[R]):
    """The items of a stream that was handed out: their errors are translated too, and none is waited for for ever."""

    def __init__(self, stream: Stream[R], translate: Translate, call: Call, timeout_s: float | None) -> None:
        self._stream = stream
        self._translate = translate
        self._call = call
        self._timeout_s = timeout_s

    def __aiter__(self) -> _Items[R]:
        return self

    async def __anext__(self) -> R:
        with _Translating(self._translate, self._call):
            return await in_time(anext(self._stream), self._timeout_s)


class _Translating:
    """Raises ours in place of a foreign error, which stays its cause; what nobody knows is raised as it is."""

    def __init__(self, translate: Translate, call: Call) -> None:
        self._translate = translate
        self._call = call

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, RushhourError | StopAsyncIteration):
            return
        if (headers := headers_of(error)) is not None:
            _tell(headers, self._call)
        ours = self._translate(error)
        if ours is not None:
            raise ours from error


async def in_time(reply: Awaitable[R], timeout_s: float | None) -> R:
    """Wait for a reply; raise AttemptTimeout when it takes longer than allowed."""
    if timeout_s is None:
        return await reply
    try:
        async with asyncio.timeout(timeout_s) as patience:
            return await reply
    except TimeoutError:
        if not patience.expired():
            raise
        raise AttemptTimeout(
            f"One attempt took longer than timeout_s={timeout_s:g} seconds; allow more, or find out why it is slow."
        ) from None


def headers_of(reply: Any) -> Mapping[str, Any] | None:
    """Find the HTTP headers of a reply or of an exception: its own, its source's, or those of its response."""
    for holder in (reply, getattr(reply, "source", None)):
        for owner in (holder, getattr(holder, "response", None)):
            headers = getattr(owner, "headers", None)
            if isinstance(headers, Mapping):
                return headers
    return None


def _tell(stated: Mapping[str, Any] | LimitHeaders | None, call: Call) -> None:
    if isinstance(stated, Mapping):
        stated = limit_headers({name.lower(): value for name, value in stated.items() if isinstance(value, str)})
    if stated is not None:
        call.emit(LimitsSeen(call.hop, stated))
