"""`rushhour ingest` in this process, with the real embedding model: every way in, and what it says of each."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

BADGES = "# Badges\n\nA lost badge is replaced at the reception desk.\n"
LUNCH = "# Lunch\n\nThe canteen serves lunch from noon until two.\n"

Shell = Callable[..., str]


@pytest.fixture
async def website() -> AsyncIterator[str]:
    """Serve one page on this machine."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=f"<html><body><h1>Lunch</h1><p>{LUNCH}</p></body></html>", content_type="text/html")

    served = web.Application()
    served.router.add_get("/lunch", page)
    runner = web.AppRunner(served)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def zipped(**members: str) -> bytes:
    """Return an archive; in the names of its members `__` stands for a slash."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/") + ".md", text)
    return made.getvalue()


def folder(at: Path, **files: str) -> Path:
    """Make a folder of Markdown files."""
    at.mkdir(exist_ok=True)
    for name, text in files.items():
        (at / f"{name}.md").write_text(text)
    return at


def test_a_folder_without_what_is_ignored(shell: Shell, tmp_path: Path) -> None:
    """Patterns work as in a .gitignore, and in archives inside the folder too."""
    docs = folder(tmp_path / "docs", badges=BADGES, draft_lunch=LUNCH)
    (docs / "old.zip").write_bytes(zipped(lunch=LUNCH, drafts__badges=BADGES))

    shell("ingest", "docs", "--collection", "desk", "--ignore", "draft_*", "--ignore", "drafts/")

    held = shell("collections", "show", "desk")
    assert "desk: 2 files" in held
    assert "badges.md" in held
    assert "old.zip/lunch.md" in held


def test_standard_input(shell: Shell) -> None:
    """A document or an archive by the name it is given; without a name nobody knows what it is."""
    assert "1 new" in shell("ingest", "-", "--name", "lunch.md", "--collection", "desk", piped=LUNCH.encode())
    assert "1 new" in shell("ingest", "-", "--name", "b.zip", "--collection", "desk", piped=zipped(badges=BADGES))

    held = shell("collections", "show", "desk")
    assert "lunch.md" in held
    assert "b.zip/badges.md" in held


async def test_a_page_of_this_machine_needs_leave(shell: Shell, website: str) -> None:
    """Private addresses are refused with the reason, unless --allow-private."""
    refused = await asyncio.to_thread(shell, "ingest", f"{website}/lunch", "--collection", "desk", status=1)
    taken = await asyncio.to_thread(shell, "ingest", f"{website}/lunch", "--collection", "desk", "--allow-private")
    missing = await asyncio.to_thread(shell, "ingest", f"{website}/no", "-c", "desk", "--allow-private", status=1)

    assert "1 failed" in refused
    assert "127.0.0.1" in refused
    assert "1 new" in taken
    assert "404" in missing


def test_a_dry_run_writes_nothing(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what would be embedded and paid, and leaves no collection and no job."""
    monkeypatch.setenv("RUSHHOUR_EMBED__PRICE_IN", "0.13")
    docs = folder(tmp_path / "docs", badges=BADGES, lunch=LUNCH)
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 but not for long")

    planned = shell("ingest", "docs", "--collection", "desk", "--dry-run")

    assert "dry run desk: 3 files (2 new, 1 failed)" in planned
    assert "2 chunks, 2 to embed, " in planned
    assert " tokens, $0.0000" in planned
    assert "broken.pdf is no PDF" in planned
    assert "no collections" in shell("collections")
    assert "no jobs" in shell("jobs")


def test_what_is_gone_and_what_has_another_name(shell: Shell, tmp_path: Path) -> None:
    """Each is named, before if one asks; a renamed file costs nothing, and --keep-missing keeps what is gone."""
    docs = folder(tmp_path / "docs", badges=BADGES, lunch=LUNCH)
    shell("ingest", "docs", "--collection", "desk")
    (docs / "badges.md").rename(docs / "lost.md")
    (docs / "lunch.md").unlink()

    kept = shell("ingest", "docs", "--collection", "desk", "--keep-missing", "--dry-run")
    planned = shell("ingest", "docs", "--collection", "desk", "--dry-run")
    done = shell("ingest", "docs", "--collection", "desk")

    assert "remove" not in kept
    assert "2 removed" in planned
    assert "0 to embed" in planned
    assert "desk: 1 file (1 renamed, 1 removed)" in done
    assert "0 embedded" in done
    assert "renamed badges.md → lost.md" in done
    assert "removed lunch.md" in done
    assert "desk: 1 file, 1 chunk" in shell("collections", "show", "desk")


def test_help_is_fast_and_teaches(shell: Shell) -> None:
    """Examples are in it, and the libraries that take long to load are not needed for it."""
    assert "rushhour ingest docs/ handbook.pdf --collection handbook" in shell("ingest", "--help")
    assert "rushhour jobs resume k3x9ab" in shell("jobs", "--help")
    assert "rushhour collections drop handbook" in shell("collections", "--help")
    assert "rushhour reindex handbook" in shell("reindex", "--help")
    assert "--yes" in shell("collections", "drop", "--help")


async def test_help_loads_no_heavy_library() -> None:
    """`rushhour --help` is typed often."""
    code = "import sys, rushhour.cli; print(*(set(sys.modules) & {'onnxruntime', 'fastapi', 'aiohttp', 'tokenizers'}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()

    assert process.returncode == 0
    assert said.decode().split() == []


def test_a_file_whose_name_is_no_utf8(shell: Shell, tmp_path: Path) -> None:
    """It is ingested, and shown with a mark for what cannot be; so is the job."""
    name = os.fsdecode(b"caf\xe9.md")
    (tmp_path / name).write_text(BADGES)

    said = shell("ingest", name, "--collection", "desk")

    job = re.search(r"job ([a-z2-9]{6})\b", said) or re.search(r"\b([a-z2-9]{6}) desk ", shell("jobs"))
    assert "1 new" in said
    assert job is not None
    assert "caf\ufffd.md" in shell("jobs", "show", job[1])
