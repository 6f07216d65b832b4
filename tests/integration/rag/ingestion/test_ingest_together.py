"""Two ingestions into one collection: what one has done meanwhile, the other neither does again nor undoes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rushhour.flow.call import Call
from rushhour.rag.documents.sources import files_from, root_of
from rushhour.rag.ingestion.ingest_report import Outcome, Summary


def report(subject: str, sections: int = 3) -> bytes:
    """Write a document whose title is its own, not its file's."""
    told = (f"## Part {n}\n\n" + f"The {subject} does thing {n} well. " * 4 for n in range(sections))
    return "\n\n".join([f"# All about the {subject}", *told]).encode()


async def ingest_folder(house: Any, folder: Path) -> Summary:
    """Ingest a folder as it is now."""
    summary: Summary = await house.ingester().ingest("docs", files_from([folder]), Call(), roots=[root_of(folder)])
    return summary


async def names(house: Any) -> list[str]:
    """List the visible files."""
    return [file.name for file in await house.catalog.files("docs")]


def before_claiming(
    house: Any, name: str, do: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do something once, between an ingestion's first look at a file and its claim on it."""
    claim = house.catalog.claim
    left = [do]

    async def late(collection: str, file: str, *more: Any, **named: Any) -> str:
        if file == name and left:
            await left.pop()()
        owner: str = await claim(collection, file, *more, **named)
        return owner

    monkeypatch.setattr(house.catalog, "claim", late)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of two documents."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("otter.md", "walrus.md"):
        (folder / name).write_bytes(report(name))
    return folder


async def test_what_came_from_elsewhere_meanwhile_is_not_missing(house: Any, folder: Path, tmp_path: Path) -> None:
    """It is gone from this folder, but by the end of this ingestion it belongs to another one."""
    await ingest_folder(house, folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "otter.md").rename(tmp_path / "elsewhere" / "otter.md")
    (folder / "heron.md").write_bytes(report("heron", 12))
    house.provider.hold = asyncio.Event()
    ingesting = asyncio.create_task(ingest_folder(house, folder))
    await house.provider.full.wait()  # by now it knows what is missing
    assert (await ingest_folder(house, tmp_path / "elsewhere")).unchanged == 1

    house.provider.hold.set()
    summary = await ingesting

    assert (summary.new, summary.removed) == (1, ())
    assert await names(house) == ["heron.md", "otter.md", "walrus.md"]
    await house.visible()


async def test_who_comes_second_finds_it_done(house: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever he saw before it was his turn: he writes nothing, buys nothing, and makes no new version."""
    before_claiming(house, "otter.md", lambda: ingest_folder(house, folder), monkeypatch)

    summary = await house.ingester().ingest("docs", files_from([folder / "otter.md"]), Call())

    assert [(one.outcome, one.embedded, one.kept) for one in summary.reports] == [(Outcome.UNCHANGED, 0, 0)]
    assert summary.chunks == len(await house.catalog.chunk_ids("docs", "otter.md"))
    assert max(house.provider.asked.values()) == 1
    assert len(house.upserts) == 2
    await house.visible()


async def test_what_another_one_moved_leaves_its_old_name(
    house: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renamed file that somebody else ingested under its new name is not shown under both."""
    await ingest_folder(house, folder)
    moved = (folder / "otter.md").rename(folder / "sea otter.md")
    before_claiming(
        house,
        "sea otter.md",
        lambda: house.ingester().ingest("docs", files_from([moved]), Call()),
        monkeypatch,
    )

    summary = await ingest_folder(house, folder)

    assert (summary.unchanged, summary.removed) == (2, ("otter.md",))
    assert await names(house) == ["sea otter.md", "walrus.md"]
    await house.visible()
