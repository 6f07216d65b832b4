"""A stream closes exactly once, however it ends, and tells everyone who gave a permit."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rushhour.errors import ConnectionLost, DeadlineExceeded, TruncatedStream
from rushhour.flow.call import Call, stack
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.retry import Retry
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted


class Upstream:
    """Counts how often it is closed."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.closed = 0
        self.fail_after = fail_after

    async def items(self) -> AsyncIterator[int]:
        """Yield 0, 1, 2, or fail on the way."""
        for number in range(3):
            if number == self.fail_after:
                raise ConnectionError("cut")
            await asyncio.sleep(1)
            yield number

    async def close(self) -> None:
        """Count."""
        self.closed += 1


def opened(upstream: Upstream) -> tuple[Stream[int], list[BaseException | None]]:
    """Return a stream and the list that its callback writes to."""
    told: list[BaseException | None] = []
    stream = Stream(upstream.items(), upstream.close)
    stream.on_close(told.append)
    return stream, told


async def test_read_to_the_end() -> None:
    """Exhaustion closes, and leaving the block afterwards does not close again."""
    upstream = Upstream()
    stream, told = opened(upstream)

    async with stream:
        assert [item async for item in stream] == [0, 1, 2]

    assert (upstream.closed, told) == (1, [None])


async def test_never_started() -> None:
    """A stream that nobody read releases its permits all the same."""
    upstream = Upstream()
    stream, told = opened(upstream)

    await stream.aclose()

    assert (upstream.closed, told) == (1, [None])
    assert [item async for item in stream] == []


async def test_cut_in_the_middle() -> None:
    """A failure is raised to the reader and told to the permit holders."""
    upstream = Upstream(fail_after=1)
    stream, told = opened(upstream)

    with pytest.raises(ConnectionError):
        [item async for item in stream]
    assert upstream.closed == 1
    assert isinstance(told[0], ConnectionError)


async def test_the_reader_is_cancelled() -> None:
    """A client that hangs up closes the upstream."""
    upstream = Upstream()
    stream, told = opened(upstream)

    async def read() -> None:
        async with stream:
            async for _ in stream:
                pass

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(1.5)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)

    assert upstream.closed == 1
    assert len(told) == 1


async def test_a_late_callback_is_called_at_once() -> None:
    """Whoever registers after the end is not forgotten."""
    stream, _ = opened(Upstream())
    await stream.aclose()
    told: list[BaseException | None] = []

    stream.on_close(told.append)

    assert told == [None]


async def dripping(*, ends_with: BaseException | None = None) -> AsyncIterator[int]:
    """Yield an item every three seconds, for ever or until it fails."""
    for number in range(3 if ends_with else 1_000_000):
        await asyncio.sleep(3)
        yield number
    if ends_with:
        raise ends_with


async def test_a_slow_drip_is_cut_by_the_deadline() -> None:
    """Every single wait is short, the whole is not (rule 8); the permits are back at that moment."""
    told: list[BaseException | None] = []
    stream = Stream(dripping())
    stream.on_close(told.append)
    stream.deadline = 10.0

    assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DeadlineExceeded, match="still arriving"):
        await anext(stream)

    assert asyncio.get_running_loop().time() == 10
    assert len(told) == 1


async def test_a_reader_who_comes_back_late_gets_what_has_arrived_and_waits_no_more() -> None:
    """The deadline passed while nobody was reading: a wait after that ends at once."""
    arrived: list[int] = [0, 1]

    async def items() -> AsyncIterator[int]:
        while True:
            while arrived:
                yield arrived.pop(0)
            await asyncio.sleep(1)

    stream = Stream(items())
    stream.deadline = 5.0
    assert await anext(stream) == 0
    await asyncio.sleep(10)

    assert await anext(stream) == 1
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert asyncio.get_running_loop().time() == 10


async def test_a_deadline_already_passed_ends_the_first_wait() -> None:
    """However long upstream would take."""
    await asyncio.sleep(10)
    stream = Stream(dripping())
    stream.deadline = 5.0

    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert asyncio.get_running_loop().time() == 10


async def test_the_deadline_leaves_no_cancellation_behind() -> None:
    """Whoever handles DeadlineExceeded goes on as any task; an outer cancellation is not mistaken for the deadline."""
    stream = Stream(dripping())
    stream.deadline = 5.0
    await anext(stream)
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(1)

    other = Stream(dripping())
    other.deadline = 100.0
    reader = asyncio.ensure_future(anext(other))
    await asyncio.sleep(1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_a_deadline_that_moves_is_followed() -> None:
    """Whoever hands a stream on may set it anew, later or earlier."""
    stream = Stream(dripping())
    stream.deadline = 4.0
    await anext(stream)
    stream.deadline = 7.0
    await anext(stream)
    stream.deadline = 8.0
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert asyncio.get_running_loop().time() == 8


async def test_a_closed_stream_leaves_no_timer_behind() -> None:
    """A thousand short answers with long deadlines must not pile up until those pass."""
    stream = Stream(dripping())
    stream.deadline = 1e6
    await anext(stream)
    await stream.aclose()
    handles = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # what the loop still has to do
    assert [handle for handle in handles if not handle.cancelled()] == []


async def test_a_timeout_from_upstream_is_not_taken_for_the_deadline() -> None:
    """Only our own clock makes a DeadlineExceeded."""
    stream = Stream(dripping(ends_with=TimeoutError("upstream's own")))
    stream.deadline = 60.0

    with pytest.raises(TimeoutError, match="upstream's own"):
        [item async for item in stream]


async def test_a_slot_is_held_until_the_stream_is_closed() -> None:
    """Not until the first token, and not longer than the reader stays (rule 7)."""
    cap = Concurrency(1)
    hop = stack(Scripted(Stream(dripping())), cap)

    stream = await hop("q", Call())
    await anext(stream)
    assert cap.in_flight == 1
    await stream.aclose()

    assert cap.in_flight == 0


@pytest.mark.parametrize("cut", [ConnectionLost("cut"), TruncatedStream("no finish reason")])
async def test_nothing_is_tried_again_after_the_first_token(cut: Exception) -> None:
    """Before it a failure is retried; after it the reader, who has seen words, gets the error (rule 8)."""
    hop = Scripted(ConnectionLost("early"), Stream(dripping(ends_with=cut)), Stream(dripping()))

    stream = await stack(hop, Retry())("q", Call())
    with pytest.raises(type(cut), match=str(cut)):
        [item async for item in stream]

    assert len(hop.requests) == 2


async def test_permits_are_back_even_if_closing_upstream_is_interrupted() -> None:
    """A close that hangs and is cancelled has already returned what was held."""
    told: list[BaseException | None] = []

    async def hang() -> None:
        await asyncio.sleep(1_000)

    stream = Stream(dripping(), hang)
    stream.on_close(told.append)
    closing = asyncio.ensure_future(stream.aclose())
    await asyncio.sleep(1)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)

    assert told == [None]
