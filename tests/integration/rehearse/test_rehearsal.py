"""The whole rehearsal, small: real processes, real sockets, simulated providers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.play import Play
from rushhour.rehearse.report import render_report
from rushhour.rehearse.scenario import change
from rushhour.rehearse.scenario_file import find_scenario


class _Watched:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.seen: list[tuple[str, Visited]] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def opens(self, pipeline: str, users: int) -> None:
        self.steps.append(f"{pipeline} {users}")

    def visited(self, pipeline: str, visit: Visited) -> None:
        self.seen.append((pipeline, visit))


@pytest.mark.timeout(180)
async def test_a_small_monday_is_played_to_its_end(tmp_path: Path) -> None:
    """Twenty users: both pipelines are filled, asked on Friday and on Monday, and production answers everybody."""
    scenario = change(find_scenario("monday"), users=20, over_s=1.0, friday_users=4, friday_at_once=4)
    watched = _Watched()
    play = Play(scenario, tmp_path, watched, "rushhour rehearse --users 20")

    await play.play()
    result = play.report()

    naive, production = result.runs
    assert not result.partial
    assert (production.answered, production.wrong, production.errors) == (20, 0, {})
    assert naive.answered + sum(naive.errors.values()) == 20
    assert naive.wrong == 0
    assert len(watched.seen) == 40
    assert 0 < naive.provider_calls.embeddings <= 20
    assert production.provider_calls.embeddings < 20
    assert production.provider_calls.chat >= 20
    assert production.cpu_s is not None
    assert production.peak_rss_mb is not None
    assert production.cpu_s > 0
    assert production.peak_rss_mb > 20
    assert production.verdict is not None
    assert production.simulator.cpu_share > 0
    assert result.pipelines["production"]["RUSHHOUR_ANSWERS__REUSE"] == "false"
    assert 500 < result.floor.tokens_per_call < 2_000
    assert [day.users for day in result.friday] == [4, 4]
    assert result.friday[1].answered == 4
    one_by_one, in_bulk = result.ingestion
    assert one_by_one.vector_calls >= one_by_one.chunks - one_by_one.lost
    assert in_bulk.vector_calls < one_by_one.vector_calls / 4
    assert in_bulk.chunks > 300
    assert "production answered all of them" in render_report(result)
    assert not [child for child in psutil.Process().children(recursive=True) if "rushhour" in " ".join(child.cmdline())]


async def _until_filling(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    """Return the children of a rehearsal that is in the middle: the simulator and both ingestions."""
    assert process.stdout is not None
    said = b""
    while b"Filling" not in said:
        line = await process.stdout.readline()
        assert line, said.decode()
        said += line
    children: list[psutil.Process] = []
    while len(children) < 3:
        children = psutil.Process(process.pid).children(recursive=True)
        await asyncio.sleep(0)
    return children


def _alive(children: list[psutil.Process], timeout_s: float = 0.0) -> list[psutil.Process]:
    """Return those that have not ended in time; where nobody collects orphans, a dead one stays as a zombie."""
    _, left = psutil.wait_procs(children, timeout_s)
    return [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(120)
async def test_a_killed_rehearsal_leaves_no_processes(tmp_path: Path) -> None:
    """SIGKILL cannot be caught: the children end by themselves when the pipes on their inputs close."""
    argv = [sys.executable, "-m", "rushhour.cli", "rehearse", "--users", "20"]
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    children = await _until_filling(process)

    process.kill()
    await process.wait()

    assert await asyncio.to_thread(_alive, children, 10.0) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_rehearsal_leaves_a_partial_report_and_no_processes(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Ctrl-C, or a request to end, in the middle: children stopped, what is known written and marked partial."""
    argv = [sys.executable, "-m", "rushhour.cli", "rehearse", "--users", "20", "--json", "f.json", "--report", "r.html"]
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=tmp_path, env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    children = await _until_filling(process)

    process.send_signal(number)
    rest, _ = await process.communicate()

    assert process.returncode == status, rest.decode()
    assert b"Traceback" not in rest
    assert b"Partial report" in rest
    assert msgspec.json.decode((tmp_path / "f.json").read_bytes())["partial"] is True
    assert "interrupted, partial" in (tmp_path / "r.html").read_text()
    assert await asyncio.to_thread(_alive, children) == []
