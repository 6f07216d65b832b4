"""One deadline bounds everything inside."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rushhour.errors import DeadlineExceeded
from rushhour.flow.call import Call, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted


async def drip() -> AsyncIterator[str]:
    """Send a letter every second, for ever: no single wait is long."""
    while True:
        await asyncio.sleep(1)
        yield "x"


async def test_ends_at_the_deadline() -> None:
    """A hop that hangs is left exactly when the caller's time is up."""
    with pytest.raises(DeadlineExceeded, match="waiting for chat"):
        await stack(Scripted("late", seconds=60), Deadline())("q", Call(deadline=5, hop="chat"))
    assert asyncio.get_running_loop().time() == pytest.approx(5)


async def test_starts_nothing_after_the_deadline() -> None:
    """Nothing is spent on a call that cannot finish in time (rule 4)."""
    await asyncio.sleep(10)
    hop = Scripted("ok")

    with pytest.raises(DeadlineExceeded):
        await stack(hop, Deadline())("q", Call(deadline=5))
    assert hop.requests == []


async def test_a_slow_drip_is_cut() -> None:
    """A stream whose every item is quick still ends at the deadline (rule 8)."""
    closed: list[BaseException | None] = []
    stream = await stack(Scripted(Stream(drip())), Deadline())("q", Call(deadline=5.5))
    stream.on_close(closed.append)

    for _ in range(5):
        assert await anext(stream) == "x"
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert isinstance(closed[0], DeadlineExceeded)


async def test_a_timeout_from_within_is_not_mistaken_for_the_deadline() -> None:
    """Somebody else's TimeoutError passes through as it is."""
    with pytest.raises(TimeoutError, match="inner"):
        await stack(Scripted(TimeoutError("inner")), Deadline())("q", Call(deadline=5))
