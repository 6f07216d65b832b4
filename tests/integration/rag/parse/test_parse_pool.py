"""Parsing in processes: what hangs, crashes, floods or is killed costs one file."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from rushhour.errors import EmptyDocument, UnreadableDocument, UnsupportedFormat
from rushhour.rag.parse import parse, wire
from rushhour.rag.parse.pool import ParserPool

HOSTILE = """
import ctypes, os, sys
from rushhour.errors import UnreadableDocument
from rushhour.rag import parse
from rushhour.rag.parse import worker

real = parse.parser

def hostile(name, content):
    what, *path = content.decode().split()
    if what == "hang":
        for one in path:
            open(one, "w").close()
        while True:
            pass
    if what == "segfault":
        ctypes.string_at(0)
    if what == "exit":
        os._exit(3)
    if what == "flood":
        return bytearray(10 * 2**30)
    if what == "grow":
        bytearray(300 * 2**20)
    if what == "outgrow":
        bytearray(300 * 2**20)
        raise UnreadableDocument("It is broken.")
    if what == "bug":
        raise ZeroDivisionError("in the parser")
    if what == "print":
        os.write(1, b"noise")
    if what == "pid":
        content = str(os.getpid()).encode()
    return real(".txt")(name, content)

parse.parser = lambda form: hostile
worker.main(int(sys.argv[1]))
"""
"""The worker as it is, with a parser that does what its file says."""

Pool = Callable[..., ParserPool]


@pytest.fixture
async def pools() -> AsyncIterator[Pool]:
    """Make pools whose parsers do as their files say, and close them."""
    made: list[ParserPool] = []

    def make(workers: int = 1, seconds: float = 30.0, memory: int = 2**30) -> ParserPool:
        command = (sys.executable, "-P", "-B", "-c", HOSTILE)
        made.append(ParserPool(workers, seconds=seconds, memory=memory, command=command))
        return made[-1]

    yield make
    for pool in made:
        await pool.aclose()


async def pid(pool: ParserPool) -> int:
    """Return the process that parses next."""
    return int((await pool("pid.md", b"pid")).text)


def gone(process: int) -> bool:
    """Whether a process of ours has ended and been waited for."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_document_is_the_same_as_in_this_process() -> None:
    """Sections, headings, pages and all; so are the errors."""
    content = b"# A\n\nText.\n\n## B\n\nCaf\xc3\xa9 \xf0\x9f\x98\x80 more.\n"
    async with ParserPool() as pool:
        assert await pool("a.md", content) == parse("a.md", content)
        assert await pool("https://x/", b"<h1>T</h1><p>x", ".html") == parse("https://x/", b"<h1>T</h1><p>x", ".html")
        with pytest.raises(EmptyDocument, match=r"a\.md is empty"):
            await pool("a.md", b" ")
        with pytest.raises(UnreadableDocument, match=r"a\.json is no JSON"):
            await pool("a.json", b"{")
        with pytest.raises(UnsupportedFormat, match=r"a\.xyz"):
            await pool("a.xyz", b"x")


async def test_one_process_serves_many_files_and_ends_with_the_pool(pools: Pool) -> None:
    """It is started once, and gone when the pool is closed."""
    pool = pools()
    process = await pid(pool)

    assert await pid(pool) == process
    await pool.aclose()

    assert gone(process)


async def test_what_the_parent_holds_is_not_the_parsers(pools: Pool) -> None:
    """A server with much in memory has its parsers live on."""
    held = bytearray(700 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])
    pool = pools()

    assert await pid(pool) == await pid(pool)


async def test_light_formats_start_no_process() -> None:
    """Plain text is read in a thread."""
    async with ParserPool(command=("/no/such/program",)) as pool:
        assert (await pool("a.txt", b"x")).text == "x"


@pytest.mark.parametrize("name", ["a.c", "a.py", "Makefile", "a.json"])
async def test_what_can_be_made_to_stall_is_parsed_where_it_can_be_stopped(pools: Pool, name: str) -> None:
    """Source code too: lines are made that a pattern takes milliseconds for."""
    assert int((await pools()(name, b"pid")).text) != os.getpid()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("hang", r"a\.md takes longer than 1\.5 s to read"),
        ("segfault", r"a\.md ended its parser \(SIGSEGV\)"),
        ("exit", r"a\.md ended its parser \(exit status 3\)"),
        ("flood", r"a\.md takes more than 1,024 MB of memory to read"),
        ("bug", r"a\.md is broken, or its parser is: ZeroDivisionError: in the parser"),
    ],
)
async def test_what_a_parser_does_costs_its_own_file_only(pools: Pool, what: str, reason: str) -> None:
    """Its process is ended and waited for, and the next file has a new one."""
    pool = pools(seconds=1.5)
    before = await pid(pool)

    with pytest.raises(UnreadableDocument, match=reason):
        await pool("a.md", what.encode())

    assert await pid(pool) != before
    assert gone(before)


async def test_others_go_on_while_one_hangs(pools: Pool) -> None:
    """Two processes: the second serves everyone else."""
    pool = pools(workers=2, seconds=3.0)
    hanging = asyncio.ensure_future(pool("a.md", b"hang"))

    served = await asyncio.gather(*(pool(f"{number}.md", b"fine") for number in range(20)))

    assert [document.text for document in served] == ["fine"] * 20
    assert not hanging.done()
    with pytest.raises(UnreadableDocument, match="takes longer"):
        await hanging


async def test_a_process_killed_from_outside_costs_at_most_its_file(pools: Pool, tmp_path: Path) -> None:
    """As the system does when memory is short: idle ones are replaced, busy ones fail their file."""
    pool = pools()
    idle = await pid(pool)
    os.kill(idle, signal.SIGKILL)
    await until(lambda: not pool._idle[0].alive)  # the loop learns of it after the system

    second = await pid(pool)
    begun = tmp_path / "begun"
    busy = asyncio.ensure_future(pool("a.md", f"hang {begun}".encode()))
    await until(begun.exists)
    os.kill(second, signal.SIGKILL)

    with pytest.raises(UnreadableDocument, match=r"ended its parser \(SIGKILL\)"):
        await busy
    assert len({idle, second, await pid(pool)}) == 3


async def test_whoever_stops_waiting_leaves_no_process(pools: Pool, tmp_path: Path) -> None:
    """A cancelled file's process is ended, and its place is free again."""
    pool = pools()
    process = await pid(pool)
    begun = tmp_path / "begun"
    task = asyncio.ensure_future(pool("a.md", f"hang {begun}".encode()))
    await until(begun.exists)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert gone(process)
    assert await pid(pool) != process


async def test_what_a_library_prints_is_no_reply(pools: Pool) -> None:
    """Replies have a channel of their own."""
    assert (await pools()("a.md", b"print")).text == "print"


async def test_a_process_that_grew_is_replaced(pools: Pool) -> None:
    """Half of its memory is as much as one keeps."""
    pool = pools(memory=2**29)
    first = await pid(pool)

    assert (await pool("a.md", b"grow")).text == "grow"

    assert gone(first)
    assert await pid(pool) != first


async def test_a_process_that_grew_over_a_broken_file_is_replaced_too(pools: Pool) -> None:
    """What it needed is what it keeps, whether there was a document in it or not."""
    pool = pools(memory=2**29)
    first = await pid(pool)

    with pytest.raises(UnreadableDocument, match="It is broken"):
        await pool("a.md", b"outgrow")

    assert gone(first)
    assert await pid(pool) != first


async def test_no_key_reaches_a_parser(pools: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment holds what it needs to start."""
    monkeypatch.setenv("RUSHHOUR_CHAT__API_KEY", "sk-secret")
    process = await pid(pools())

    environment = await asyncio.to_thread(Path(f"/proc/{process}/environ").read_bytes)
    assert b"PYTHONPATH=" in environment
    assert b"sk-secret" not in environment


async def test_a_hanging_process_ends_itself_when_nobody_does() -> None:
    """Its server was killed: nobody is left to end it when its time is up."""
    script = HOSTILE.replace("worker.main", "worker.GRACE_S = 0.0\nworker.main")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-B", "-c", script, "0"), stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(wire.request("a.md", b"hang", ".md", 0.2) + b"hang")

    assert await process.wait() == -signal.SIGALRM
    process.stdin.close()


SERVER = """
import asyncio
from rushhour.rag.parse.pool import ParserPool

async def main():
    pool = ParserPool(1)
    await pool("a.md", b"x")
    print(pool._idle[0]._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_server_leaves_no_process_behind() -> None:
    """Its parsers see their input end; what runs no more may still wait for the system to take note."""
    server = await asyncio.create_subprocess_exec(sys.executable, "-P", "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    parser = int(await server.stdout.readline())
    assert not ended(parser)

    server.kill()
    await server.wait()

    await until(lambda: ended(parser))


@pytest.mark.parametrize("what", ["hang", "segfault", "fine"])
def test_on_the_loop_of_production(what: str) -> None:
    """Its processes are another implementation: they end as well, with nothing left open."""

    async def main() -> tuple[int, str]:
        command = (sys.executable, "-P", "-B", "-c", HOSTILE)
        async with ParserPool(1, seconds=1.5, command=command) as pool:
            process = await pid(pool)
            try:
                return process, (await pool("a.md", what.encode())).text
            except UnreadableDocument as cause:
                return process, str(cause)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        process, told = runner.run(main())

    assert gone(process)
    assert told == "fine" if what == "fine" else ("longer than 1.5 s" in told or "SIGSEGV" in told)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition of another process, which tells nobody; at most as long as the test may take."""
    while not holds():  # noqa: ASYNC110  # nothing here learns of it
        await asyncio.sleep(0.005)


def ended(process: int) -> bool:
    """Whether a process that is not ours runs no more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
