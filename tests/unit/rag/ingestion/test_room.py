"""How much an ingestion holds at once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import Unauthorized
from rushhour.rag.ingestion.room import ChunkRoom, Permits
from rushhour.testing import VirtualTimeLoop

visits = st.lists(st.tuples(st.integers(0, 15), st.floats(0, 5), st.floats(0, 5), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(visits)
def test_there_is_never_more_than_there_is_room_for(visits: list[tuple[int, float, float, bool]]) -> None:
    """Whoever comes, stays or leaves the queue: what is too large enters alone, and in the end all room is free."""
    inside: list[int] = []

    async def visit(room: ChunkRoom, chunks: int, after: float, stay: float) -> None:
        await asyncio.sleep(after)
        size = await room.enter(chunks)
        inside.append(size)
        assert sum(inside) <= 10
        try:
            await asyncio.sleep(stay)
        finally:
            inside.remove(size)
            room.leave(size)

    async def play() -> None:
        room = ChunkRoom(10)
        tasks = [asyncio.create_task(visit(room, chunks, after, stay)) for chunks, after, stay, _ in visits]
        await asyncio.sleep(2.5)
        for task, (_, _, _, leaves) in zip(tasks, visits, strict=True):
            if leaves:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.exception() is None for task in tasks)
        async with asyncio.timeout(1):
            assert await room.enter(99) == 10

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


async def test_a_large_file_is_not_passed_over() -> None:
    """Small ones that come later wait behind it, or it would wait for ever."""
    room, order = ChunkRoom(10), []
    first = await room.enter(6)

    async def enter(name: str, chunks: int) -> None:
        room.leave(await room.enter(chunks))
        order.append(name)

    waiting = [asyncio.create_task(enter("large", 10)), asyncio.create_task(enter("small", 1))]
    await asyncio.sleep(1)
    assert order == []
    room.leave(first)
    await asyncio.gather(*waiting)

    assert order == ["large", "small"]


async def test_closed_permits_let_nobody_pass() -> None:
    """Those who wait hear the reason as soon as it is their turn; the first reason stays."""
    permits = Permits(1)
    await permits.acquire()
    waiting = asyncio.create_task(permits.acquire())
    await asyncio.sleep(0)
    permits.close(Unauthorized("The key is wrong."))
    permits.close(Unauthorized("Another reason."))
    permits.release()

    for asking in (waiting, permits.acquire(), permits.acquire()):
        with pytest.raises(Unauthorized, match="The key is wrong"):
            await asking
