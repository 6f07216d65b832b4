"""`rushhour jobs`, `collections` and `reindex`: what happened, going on, and clearing up."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

LUNCH = "# Lunch\n\nThe canteen serves lunch from noon until two.\n"
BROKEN = b"%PDF-1.7 but not for long"

Shell = Callable[..., str]


def job_of(said: str) -> str:
    """Return the id of the job that a command says it runs."""
    found = re.search(r"job ([a-z2-9]{6})\b", said)
    assert found is not None, said
    return found[1]


def test_what_failed_is_told_and_tried_again(shell: Shell, tmp_path: Path) -> None:
    """The summary names the command that tries again; the job keeps the reason until it has worked, or is forgotten."""
    (tmp_path / "lunch.md").write_text(LUNCH)
    (tmp_path / "menu.txt").write_bytes(b"")
    said = shell("ingest", "lunch.md", "menu.txt", "--collection", "desk", status=1)
    job = job_of(said)

    assert f"1 file parked; try again with: rushhour jobs retry {job}" in said
    assert f"{job} desk done 2/2 1 " in shell("jobs")
    assert "no jobs" in shell("jobs", "--collection", "other")
    shown = shell("jobs", "show", job)
    assert "parked menu.txt is empty" in shown
    assert "lunch.md," not in shown
    assert "new lunch.md, 1 chunk" in shell("jobs", "show", job, "--all")

    (tmp_path / "menu.txt").write_text("Soup of the day.")
    again = shell("jobs", "retry", job)

    assert f"job {job}: trying 1 parked file again" in again
    assert "1 new" in again
    assert f"{job} desk done 2/2 0 " in shell("jobs")
    assert "nothing to retry" in shell("jobs", "retry", job, status=1)
    assert "is done" in shell("jobs", "resume", job, status=1)
    assert f"job {job} is forgotten" in shell("jobs", "forget", job)
    assert "no jobs" in shell("jobs")
    assert "desk 2 2 " in shell("collections")


def test_a_collection_is_listed_rebuilt_and_dropped(shell: Shell, tmp_path: Path) -> None:
    """Rebuilding embeds nothing again; dropping asks, and takes the jobs along."""
    (tmp_path / "lunch.md").write_text(LUNCH)
    shell("ingest", "lunch.md", "--collection", "desk")

    assert "desk 1 1 local/bge-small-en-v1.5-int8" in shell("collections")
    assert "desk: 1 chunk indexed anew, 0 embedded, 1 vectors kept" in shell("reindex", "desk")
    assert "say --yes" in shell("collections", "drop", "desk", status=1)
    assert "desk is dropped: 1 file, 1 chunk" in shell("collections", "drop", "desk", "--yes")
    assert "no collections" in shell("collections")
    assert "no jobs" in shell("jobs")


def test_names_that_nobody_knows(shell: Shell) -> None:
    """Each message says what there is instead."""
    assert "There is no job 'k3x9ab'. `rushhour jobs` lists" in shell("jobs", "show", "k3x9ab", status=1)
    for command in (("collections", "show"), ("collections", "drop"), ("reindex",)):
        assert "'nowhere'" in shell(*command, "nowhere", status=1)


async def test_ctrl_c_leaves_a_job_to_go_on_with(
    shell: Shell, providers: Any, tmp_path: Path, environment: dict[str, str], monkeypatch: Any
) -> None:
    """It says how; the same command goes on by itself, and so does `jobs resume`."""
    (tmp_path / "lunch.md").write_text(LUNCH)
    async with providers() as settings, silence() as (url, asked):
        set_to = {f"RUSHHOUR_{name.upper()}": value for name, value in settings.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rushhour.cli", "ingest", "lunch.md", "--collection", "desk"),
            cwd=tmp_path,
            env={**environment, **set_to, "RUSHHOUR_EMBED__BASE_URL": url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await asked.wait()
            process.send_signal(signal.SIGINT)
            said = (await process.stdout.read()).decode() if process.stdout else ""
            assert await process.wait() == 130, said
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        for name, value in set_to.items():
            monkeypatch.setenv(name, value)
        job = job_of(said)
        listed = await asyncio.to_thread(shell, "jobs")
        done = await asyncio.to_thread(shell, "ingest", "lunch.md", "--collection", "desk")

    assert f"interrupted; go on with: rushhour jobs resume {job}" in " ".join(said.split())
    assert "Traceback" not in said
    assert f"{job} desk interrupted 0/1 0 " in listed
    assert f"resuming job {job}, which was interrupted: 0 of 1 files settled" in done
    assert "1 new" in done


async def test_a_job_that_was_given_up_is_resumed(
    shell: Shell, providers: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """A wrong key stops it and is named, with the command that goes on once it is right."""
    (tmp_path / "lunch.md").write_text(LUNCH)
    async with providers() as settings:
        for name, value in settings.items():
            monkeypatch.setenv(f"RUSHHOUR_{name.upper()}", value)
        monkeypatch.setenv("RUSHHOUR_EMBED__API_KEY", "wrong")
        stopped = await asyncio.to_thread(shell, "ingest", "lunch.md", "--collection", "desk", status=1)
        monkeypatch.setenv("RUSHHOUR_EMBED__API_KEY", "right")
        job = job_of(stopped)
        shown = await asyncio.to_thread(shell, "jobs", "show", job)
        done = await asyncio.to_thread(shell, "jobs", "resume", job)

    assert "given up: " in stopped
    assert f"go on with: rushhour jobs resume {job}" in stopped
    assert "RUSHHOUR_EMBED__API_KEY" in shown
    assert f"resuming job {job}, which was given up" in done
    assert "1 new" in done


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Run a provider that never answers; the event tells that it was asked."""
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                asked.set()
        finally:
            writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
