"""Processes that must not outlive the one that started them, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from rushhour.rehearse.processes import leashed, running

_STARTS = """
import json, subprocess, sys
child = subprocess.Popen({argv!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(json.dumps({{"child": child.pid}}), flush=True)
sys.stdin.read()
"""
_STUBBORN = """
import signal
from rushhour.rehearse import leash
leash.GRACE_S = 0.1
signal.signal(signal.SIGTERM, signal.SIG_IGN)
leash.hold()
print("ready", flush=True)
while True:
    signal.pause()
"""


def _is_gone(process: psutil.Process) -> bool:
    """Wait for an end that is under way; where nobody collects orphans, a dead one stays as a zombie."""
    try:
        process.wait(20)
    except psutil.TimeoutExpired:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


@pytest.mark.parametrize(
    "argv",
    [
        leashed("rushhour.simulator", "--port", "0", "--json"),
        [sys.executable, "-c", _STUBBORN],
    ],
    ids=["a server", "one that ignores the request to end"],
)
async def test_a_killed_starter_takes_its_child_with_it(tmp_path: Path, argv: list[str]) -> None:
    """SIGKILL leaves no time to clean up; the pipe that closes is enough."""
    async with running("starter", [sys.executable, "-c", _STARTS.format(argv=argv)], os.environ, tmp_path) as starter:
        child = psutil.Process((await starter.ready_line(30))["child"])
        os.kill(starter.pid, signal.SIGKILL)

        assert await asyncio.to_thread(_is_gone, child)


async def test_a_leashed_module_gets_its_arguments_and_its_name(tmp_path: Path) -> None:
    """It runs as if it had been started itself."""
    (tmp_path / "shows.py").write_text("import sys\nprint(__name__, sys.argv[1:], flush=True)\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    async with running("module", leashed("shows", "--one", "two"), environment, tmp_path) as child:
        assert await child.line() == b"__main__ ['--one', 'two']\n"
        assert await child.finish() == 0


async def test_a_leash_needs_a_module(tmp_path: Path) -> None:
    """Used wrongly, it says how it is used."""
    async with running("nothing", leashed("")[:3], os.environ, tmp_path) as child:
        assert await child.last_line() == b""

    assert "usage: python -m rushhour.rehearse.leash MODULE" in (tmp_path / "nothing.log").read_text()
