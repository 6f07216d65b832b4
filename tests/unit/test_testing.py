"""The virtual-time loop and the scripted hop keep their word."""

import asyncio

import pytest

from rushhour.flow.call import Call
from rushhour.testing import Deadlock, Scripted, run_virtual


async def test_hours_pass_at_once() -> None:
    """Sleeping moves the clock by exactly the time slept."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    await asyncio.sleep(3600)

    assert loop.time() - begun == pytest.approx(3600)


async def test_threads_take_no_virtual_time() -> None:
    """A timer does not overtake work that a thread has not finished."""
    loop = asyncio.get_running_loop()
    timer = asyncio.ensure_future(asyncio.sleep(1))

    total = await loop.run_in_executor(None, sum, range(100_000))

    assert total == sum(range(100_000))
    assert not timer.done()
    await timer


def test_a_wait_without_end_is_reported() -> None:
    """A deadlock fails instead of hanging."""

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="never released"):
        run_virtual(forever())


async def test_scripted_plays_in_order_and_then_complains() -> None:
    """Outcomes come in order; one call too many is a failure of the test."""
    hop = Scripted(ValueError("no"), "yes")

    with pytest.raises(ValueError, match="no"):
        await hop("q", Call())
    assert await hop("q", Call()) == "yes"
    with pytest.raises(AssertionError, match="asked 3 times"):
        await hop("q", Call())
