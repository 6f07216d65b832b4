"""Child processes: ready, measured, ended, whatever they do."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from rushhour.rehearse.processes import ChildFailed, running
from rushhour.rehearse.together import together

READY = 'print(\'starting\'); print(\'{"ready": true, "url": "here"}\', flush=True); '
WAIT = "import sys; sys.stdin.readline(); "


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _is_gone(process: psutil.Process) -> bool:
    """Wait for an end that is under way; where nobody collects orphans, a dead one stays as a zombie."""
    try:
        process.wait(2)
    except psutil.TimeoutExpired:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


async def test_a_child_is_found_ready_and_ended(tmp_path: Path) -> None:
    """Leaving the block ends the process; what it printed before is in its log."""
    async with running("one that waits", _python(READY + WAIT), os.environ, tmp_path) as child:
        ready = await child.ready_line(20)
        pid = child.pid
        assert psutil.pid_exists(pid)

    assert ready == {"ready": True, "url": "here"}
    assert not psutil.pid_exists(pid)
    assert "starting" in (tmp_path / "one-that-waits.log").read_text()


async def test_a_child_that_cannot_start_tells_why(tmp_path: Path) -> None:
    """The end of its log is in the message."""
    async with running("broken thing", _python("raise SystemExit('no such port')"), os.environ, tmp_path) as child:
        with pytest.raises(ChildFailed, match=r"broken thing ended with status 1 before it(.|\n)*no such port"):
            await child.ready_line(20)


async def test_a_child_that_is_never_ready_is_not_waited_for(tmp_path: Path) -> None:
    """A hung start ends with the patience of whoever waits."""
    async with running("sleeper", _python(WAIT), os.environ, tmp_path) as child:
        with pytest.raises(ChildFailed, match=r"sleeper was not ready after 0\.2 s"):
            await child.ready_line(0.2)


async def test_a_server_that_dies_is_noticed_while_waiting(tmp_path: Path) -> None:
    """Nobody polls the address of a dead process."""
    async with running("server", _python("raise SystemExit(3)"), os.environ, tmp_path) as child:
        with pytest.raises(ChildFailed, match="server ended with status 3 as it started"):
            await child.answers("http://127.0.0.1:1/readyz", 20)


async def test_a_stubborn_child_and_its_children_are_killed(tmp_path: Path) -> None:
    """One that ignores the request to end is ended, and so is what it started."""
    code = (
        "import signal, subprocess, sys, json; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "inner = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE); "
        "print(json.dumps({'inner': inner.pid}), flush=True); sys.stdin.read()"
    )
    async with running("stubborn", _python(code), os.environ, tmp_path) as child:
        inner = psutil.Process((await child.ready_line(20))["inner"])
        await child.stop(grace_s=0.2)

        assert not psutil.pid_exists(child.pid)
        assert await asyncio.to_thread(_is_gone, inner)
    assert "was killed" in (tmp_path / "stubborn.log").read_text()


async def test_work_is_measured(tmp_path: Path) -> None:
    """CPU seconds and memory of what happened inside the block."""
    code = READY + WAIT + "kept = bytearray(60_000_000); sum(range(6_000_000)); print('done', flush=True); " + WAIT
    async with running("worker", _python(code), os.environ, tmp_path) as child:
        await child.ready_line(20)
        async with child.measured() as used:
            child.go()
            assert await child.line() == b"done\n"

    assert used.cpu_s > 0
    assert used.peak_rss_mb > 60


async def test_the_first_failure_ends_what_runs_beside_it(tmp_path: Path) -> None:
    """Two starts at once: when one fails, its error is raised as it is and the other is undone."""

    async def waits() -> None:
        async with running("waits", _python(WAIT), os.environ, tmp_path) as child:
            await child.line()

    async def fails() -> None:
        raise ChildFailed("this one failed")

    with pytest.raises(ChildFailed, match="this one failed"):
        await together(waits(), fails())
