"""Locks of the kernel: held by the living, free when their holder is dead."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rushhour.rag.jobs.leases import Leases

HOLDER = """
import asyncio, pathlib, sys
from rushhour.rag.jobs.leases import Leases

async def main():
    async with Leases(pathlib.Path(sys.argv[1])).hold("job") as held:
        print(held, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def files(folder: Path) -> list[Path]:
    """List all files in a folder and below."""
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    """Give leases in a folder that is not there yet."""
    return Leases(tmp_path / "locks")


async def test_one_holds_it_at_a_time(leases: Leases) -> None:
    """In one process too; afterwards nothing is left, not even a file."""
    assert not await leases.held("job")
    async with leases.hold("job") as first:
        async with leases.hold("job") as second, leases.hold("other") as other:
            assert (first, second, other) == (True, False, True)
        assert await leases.held("job")
    assert not await leases.held("job")
    assert list(leases._folder.iterdir()) == []
    async with leases.hold("job") as again:
        assert again


async def test_some_share_it_or_one_has_it_alone(leases: Leases) -> None:
    """Whoever shares keeps out whoever wants it alone, and the other way round."""
    async with leases.hold("docs", shared=True) as one, leases.hold("docs", shared=True) as two:
        async with leases.hold("docs") as alone:
            assert (one, two, alone) == (True, True, False)
        assert not await leases.held("docs")
    async with leases.hold("docs") as alone, leases.hold("docs", shared=True) as one:
        assert (alone, one) == (True, False)


async def test_it_dies_with_its_process(leases: Leases, tmp_path: Path) -> None:
    """Whatever the holder was doing when it was killed."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path / "locks"), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    assert await leases.held("job")
    holder.kill()
    await holder.communicate()

    assert not await leases.held("job")
    async with leases.hold("job") as mine:
        assert mine


async def test_many_who_look_keep_nobody_out(leases: Leases) -> None:
    """Looking takes the lock for a moment: who wants it then tries again."""

    async def look() -> None:
        for _ in range(30):
            await leases.held("job")

    async def hold() -> list[bool]:
        got = []
        for _ in range(30):
            async with leases.hold("job") as held:
                got.append(held)
        return got

    *_, got = await asyncio.gather(look(), look(), hold())

    assert all(got)


async def test_whoever_is_cancelled_holds_nothing(leases: Leases) -> None:
    """At whatever moment: the thread that takes the lock cannot be stopped, so it is waited for."""

    async def hold() -> None:
        async with leases.hold("job"):
            pass

    for turns in range(6):
        holding = asyncio.create_task(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        holding.cancel()
        await asyncio.wait([holding])
        assert not await leases.held("job")


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("turns", range(4))
async def test_whoever_is_cancelled_twice_holds_nothing(leases: Leases, turns: int, shared: bool) -> None:
    """He waits for the thread that takes the lock all the same, gives the lock back, and is cancelled."""
    threads, go_on = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(go_on.wait)
    had: list[bool] = []

    async def hold() -> None:
        async with leases.hold("job", shared=shared) as held:
            had.append(held)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    for _ in range(2):
        for _ in range(turns):
            await asyncio.sleep(0)
        holding.cancel()
    go_on.set()
    await asyncio.wait([holding])

    assert (holding.cancelled(), had) == (True, [])
    async with leases.hold("job") as mine:
        assert mine


async def test_whoever_is_cancelled_is_cancelled_whatever_the_lock_said(tmp_path: Path) -> None:
    """A folder that cannot be made is no reason to go on."""
    (tmp_path / "locks").write_text("a file in its place")

    async def hold() -> None:
        async with Leases(tmp_path / "locks").hold("job"):
            pytest.fail("There is no folder for it.")

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    holding.cancel()
    await asyncio.wait([holding])

    assert holding.cancelled()


@pytest.mark.parametrize("name", ["x" * 300, "a/b", "../../out", "caf\udce9", "a\0b", ""])
async def test_any_text_is_a_name(leases: Leases, tmp_path: Path, name: str) -> None:
    """Whatever it would mean as the name of a file."""
    async with leases.hold(name) as mine, leases.hold(f"{name}.") as other:
        assert (mine, other) == (True, True)
        assert await leases.held(name)
        assert [one.parent for one in files(tmp_path)] == [tmp_path / "locks"] * 2
    assert not await leases.held(name)
