"""Streams of other people's clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushhour import (
    AttemptTimeout,
    ConnectionLost,
    DeadlineExceeded,
    Event,
    LimitsSeen,
    TruncatedStream,
    protect,
    streamed,
    streaming,
)


class SdkStream:
    """A stream object as SDKs have them: iterated, closed, with the response behind it."""

    def __init__(self, *items: Any, gap_s: float = 0.0) -> None:
        self.items = list(items)
        self.gap_s = gap_s
        self.closed = 0
        self.response = self
        self.headers = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "599"}

    def __aiter__(self) -> SdkStream:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(self.gap_s)
        if not self.items:
            raise StopAsyncIteration
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    async def close(self) -> None:
        self.closed += 1


def asking(*streams: SdkStream) -> Any:
    """Write a function that returns one stream after the other."""
    waiting = list(streams)

    @streaming
    async def ask(_request: str) -> SdkStream:
        return waiting.pop(0)

    return ask


async def test_items_come_in_order_and_the_source_is_closed() -> None:
    """The first item, which was waited for, is not lost."""
    source = SdkStream("a", "b", "c")
    async with await protect(asking(source))("q") as stream:
        assert [item async for item in stream] == ["a", "b", "c"]
    assert source.closed == 1


async def test_an_async_generator_is_closed_too() -> None:
    """Leaving early runs its `finally`."""
    ended: list[bool] = []

    async def talk(request: str) -> AsyncIterator[str]:
        try:
            for word in request.split():
                yield word
        finally:
            ended.append(True)

    async with await protect(streaming(talk))("one two three") as stream:
        assert await anext(stream) == "one"
    assert ended == [True]


async def test_an_empty_stream_is_empty() -> None:
    """Not an error, unless the caller says what its last item is."""
    async with await streamed(SdkStream()) as stream:
        assert [item async for item in stream] == []


async def test_what_fails_before_the_first_item_is_retried() -> None:
    """And what failed is closed."""
    broken, whole = SdkStream(ConnectionResetError()), SdkStream("a")
    async with await protect(asking(broken, whole))("q") as stream:
        assert [item async for item in stream] == ["a"]
    assert (broken.closed, whole.closed) == (1, 1)


async def test_what_fails_later_is_raised_as_ours() -> None:
    """There is no second attempt once something was handed out; the original is the cause."""
    lost = ConnectionResetError("gone")
    source = SdkStream("a", lost)
    async with await protect(asking(source))("q") as stream:
        assert await anext(stream) == "a"
        with pytest.raises(ConnectionLost) as caught:
            await anext(stream)
    assert caught.value.__cause__ is lost
    assert source.closed == 1


async def test_a_stream_that_stops_early_is_an_error() -> None:
    """A clean end without the last item is no success."""

    async def talk(_request: str) -> AsyncIterator[str]:
        yield "a"
        yield "b"

    chat = protect(streaming(talk, finished=lambda word: word == "END"))
    async with await chat("q") as stream:
        with pytest.raises(TruncatedStream):
            _ = [item async for item in stream]


async def test_a_finished_stream_may_go_on() -> None:
    """Usage comes after the finish reason."""
    stream = await streamed(SdkStream("a", "END", "usage"), finished=lambda word: word == "END")
    assert [item async for item in stream] == ["a", "END", "usage"]


async def test_the_permit_is_held_until_the_stream_is_closed() -> None:
    """The second call starts when the first one's reader has left."""
    first, second = SdkStream("a", "b"), SdkStream("c")
    chat = protect(asking(first, second), concurrency=1)
    stream = await chat("q")
    later = asyncio.ensure_future(chat("q"))
    await asyncio.sleep(1)
    assert not later.done()
    await stream.aclose()
    async with await later as other:
        assert [item async for item in other] == ["c"]


async def test_an_item_that_never_comes_is_not_waited_for() -> None:
    """Each item has the attempt's time."""
    source = SdkStream("a", "b", gap_s=5)
    async with await protect(asking(source), timeout_s=6)("q") as stream:
        source.gap_s = 100
        assert await anext(stream) == "a"
        with pytest.raises(AttemptTimeout):
            await anext(stream)
    assert source.closed == 1


async def test_a_slow_drip_ends_at_the_deadline() -> None:
    """Every item is in time, the answer is not."""
    source = SdkStream(*"abcdefghij", gap_s=3)
    async with await protect(asking(source), timeout_s=5)("q", deadline_s=10) as stream:
        with pytest.raises(DeadlineExceeded):
            _ = [item async for item in stream]
    assert asyncio.get_running_loop().time() == pytest.approx(10)
    assert source.closed == 1


async def test_limits_are_read_from_the_response_behind_the_stream() -> None:
    """As the OpenAI SDK keeps it."""
    seen: list[Event] = []
    async with await protect(asking(SdkStream("a")))("q", watch=seen.append):
        pass
    assert [
        event.limits.requests.limit for event in seen if isinstance(event, LimitsSeen) and event.limits.requests
    ] == [600]


async def test_a_caller_who_leaves_while_waiting_closes_the_source() -> None:
    """Cancelled before the first item: nothing stays open."""
    source = SdkStream("a", gap_s=50)
    call = asyncio.ensure_future(protect(asking(source))("q"))
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert source.closed == 1
