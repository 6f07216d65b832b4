"""What was piped in, kept while somebody needs it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushhour.clock import unix_now
from rushhour.rag.documents.spool import FORGOTTEN_S, Spool


def names(folder: Path) -> set[str]:
    """Name what is in a folder."""
    return {file.name for file in folder.iterdir()}


def age(file: Path, seconds: float) -> None:
    """Make a file that old."""
    os.utime(file, (unix_now() - seconds,) * 2)


async def test_only_what_is_done_or_old_is_forgotten(tmp_path: Path) -> None:
    """And never what somebody needs."""
    spool = Spool(tmp_path)
    done, fresh, old, needed = [await spool.keep(io.BytesIO(bytes([n]))) for n in range(4)]
    for one in (old, needed):
        age(spool.path(one), FORGOTTEN_S + 10)

    await spool.clear({needed}, done)

    assert names(tmp_path) == {fresh, needed}


async def test_two_may_clear_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other was faster to forget is forgotten; the rest is seen to."""
    spool = Spool(tmp_path)
    old = spool.path(await spool.keep(io.BytesIO(b"x")))
    age(old, FORGOTTEN_S + 10)

    def seen(_folder: Path, _pattern: str) -> Iterator[Path]:
        yield from (tmp_path / "gone", tmp_path / "done", old)

    monkeypatch.setattr(Path, "glob", seen)
    await spool.clear((), "done")

    assert not old.exists()
