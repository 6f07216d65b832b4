"""One timer for all who wait equally long: each is cut at its own time, and nobody else is."""

from __future__ import annotations

import asyncio

import pytest

from rushhour.rehearse.virtual.patience import Patience


async def test_a_block_is_cut_when_its_time_is_up() -> None:
    """As by `asyncio.timeout_at`: the wait ends there, with a TimeoutError, and the task goes on."""
    loop, patience = asyncio.get_running_loop(), Patience()

    with pytest.raises(TimeoutError), patience.until(2.0):
        await asyncio.sleep(5)

    assert loop.time() == pytest.approx(2.0)
    await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_block_has_its_own_time() -> None:
    """Those that end in time are left alone, before, between and after those that do not."""
    patience = Patience()

    async def wait(begins: float, seconds: float) -> str:
        await asyncio.sleep(begins)
        try:
            with patience.until(begins + 3.0):
                await asyncio.sleep(seconds)
        except TimeoutError:
            return f"cut at {asyncio.get_running_loop().time():.3f}"
        return "whole"

    told = await asyncio.gather(wait(0, 1), wait(0.5, 9), wait(1, 2.9), wait(1.5, 9), wait(20, 9), wait(21, 1))

    assert list(told) == ["whole", "cut at 3.500", "whole", "cut at 4.500", "cut at 23.000", "whole"]


async def test_a_cancellation_from_outside_is_not_mistaken_for_a_timeout() -> None:
    """Whoever is told to go away at that very moment goes away."""
    patience = Patience()

    async def wait() -> None:
        with patience.until(1.0):
            await asyncio.sleep(5)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(1.0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_inside_is_raised_as_it_is() -> None:
    """A block changes nothing but its length."""
    with pytest.raises(KeyError), Patience().until(1.0):
        raise KeyError("lost")
