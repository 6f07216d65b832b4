"""Work ends when there is nobody left to work for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rushhour.errors import DeadlineExceeded, Unavailable
from rushhour.server.drain import Drain
from rushhour.server.failures import ClientGone, ShuttingDown
from rushhour.server.guard import SLACK_S, Guard


async def stays() -> Any:
    """Wait with a client that never hangs up."""
    await asyncio.get_running_loop().create_future()


async def leaves() -> Any:
    """Wait with a client that hangs up after 3 s."""
    await asyncio.sleep(3)
    return {"type": "http.disconnect"}


async def test_hang_up_cancels_the_work() -> None:
    """The work is cancelled when the client leaves, and ends as ClientGone."""
    with pytest.raises(ClientGone):
        async with Guard(leaves, Drain(), 60):
            await asyncio.sleep(30)
    assert asyncio.get_running_loop().time() == 3
    await asyncio.sleep(0)


async def test_time_is_up_for_a_reader_that_does_not_read() -> None:
    """A send that nobody takes off the wire ends shortly after the deadline."""
    with pytest.raises(DeadlineExceeded):
        async with Guard(stays, Drain(), 60):
            await asyncio.get_running_loop().create_future()
    assert asyncio.get_running_loop().time() == 60 + SLACK_S


async def test_end_of_the_grace() -> None:
    """Open work ends with the grace; what comes later ends at once."""
    drain = Drain()
    asyncio.get_running_loop().call_later(5, drain.end)
    with pytest.raises(ShuttingDown):
        async with Guard(stays, drain, 60):
            await asyncio.sleep(30)
    assert drain.open == 0
    with pytest.raises(ShuttingDown):
        async with Guard(stays, drain, 60):
            await asyncio.sleep(30)
    assert asyncio.get_running_loop().time() == 5


async def test_done_work_is_left_alone() -> None:
    """A guard leaves no timer, no watcher and no cancellation behind."""
    drain, before = Drain(), asyncio.all_tasks()
    async with Guard(leaves, drain, 60):
        await asyncio.sleep(1)
    drain.end()
    await asyncio.sleep(100)
    assert asyncio.all_tasks() == before


async def test_interrupted_after_its_last_wait() -> None:
    """Work that was done when the interruption came stays done."""
    drain = Drain()
    async with Guard(stays, drain, 60):
        await asyncio.sleep(1)
        drain.end()
    await asyncio.sleep(1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_works_own_error_passes() -> None:
    """The guard hides no error."""
    with pytest.raises(Unavailable):
        async with Guard(stays, Drain(), 60):
            raise Unavailable


async def test_cancellation_from_outside_stays_one() -> None:
    """Being cancelled by somebody else is not taken for a hang-up."""

    async def work() -> None:
        async with Guard(stays, Drain(), 60):
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
