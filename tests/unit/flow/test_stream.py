"""A stream closes exactly once, however it ends, and tells everyone who gave a permit."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rushhour.flow.stream import Stream


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
