"""Ingestion: only what is new is embedded, one bad file stops nobody, and twice is once."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rushhour.errors import (
    InvalidRequest,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Unauthorized,
    Unavailable,
    UnknownCollection,
)
from rushhour.flow.call import Call, Event, Lane
from rushhour.hops.contract import Used
from rushhour.rag.chunking.chunk import Chunking
from rushhour.rag.documents.sources import Source, files_from, python_manual
from rushhour.rag.ingestion.ingest_report import Outcome, Progress

IN_FLIGHT = 8


def prose(subject: str, sentences: int = 12) -> str:
    """Write a page about something."""
    return "\n\n".join(
        f"The {subject} does thing number {n}, and does it rather well, all told." for n in range(sentences)
    )


def texts(**contents: str) -> list[Source]:
    """Make text sources; the keys are their names."""
    return [Source(f"{name}.txt", content.encode, f"test:{name}") for name, content in contents.items()]


async def test_documents_become_visible_and_searchable(house: Any) -> None:
    """Catalog, words and vectors agree; the summary counts what was done."""
    summary = await house.ingester().ingest("docs", texts(walrus=prose("walrus"), otter=prose("otter")), Call())

    assert (summary.files, summary.new, summary.changed, summary.unchanged, summary.failed) == (2, 2, 0, 0, ())
    assert summary.complete
    assert summary.chunks == summary.embedded == len(await house.visible()) > 4
    assert summary.tokens == 10 * summary.embedded
    assert summary.cost_usd == pytest.approx(summary.tokens * 2e-6)
    assert house.provider.lanes == {Lane.BACKGROUND}
    assert house.provider.peak <= IN_FLIGHT
    (best, *_) = await house.catalog.lexical("docs", "walrus", 5)
    found = (await house.catalog.chunks("docs", [best.id]))[best.id]
    assert (found.file, found.title, found.source) == ("walrus.txt", "walrus", "test:walrus")


async def test_twice_the_same_changes_nothing_and_costs_nothing(house: Any) -> None:
    """No embedding, no upsert, no new version of the collection."""
    sources = texts(walrus=prose("walrus"), otter=prose("otter"))
    first = await house.ingester().ingest("docs", sources, Call())
    before = await house.catalog.collection("docs"), await house.catalog.files("docs"), len(house.upserts)

    again = await house.ingester().ingest("docs", sources, Call())

    assert (again.unchanged, again.embedded, again.deleted, again.tokens) == (2, 0, 0, None)
    assert again.chunks == first.chunks
    assert (await house.catalog.collection("docs"), await house.catalog.files("docs"), len(house.upserts)) == before


async def test_of_a_changed_file_only_what_is_new_is_embedded(house: Any) -> None:
    """Stale chunks leave the catalog and the vector store."""
    parts = [f"Part {n}\n======\n\n{prose(f'animal {n}', 3)}\n\n" for n in range(6)]
    await house.ingester().ingest("docs", texts(zoo="".join(parts)), Call())
    before = await house.visible()
    house.provider.asked.clear()
    parts[2] = parts[2].replace("animal 2", "walrus")

    summary = await house.ingester().ingest("docs", texts(zoo="".join(parts)), Call())

    after = await house.visible()
    assert (summary.changed, summary.embedded, summary.deleted) == (1, len(after - before), len(before - after))
    assert all("walrus" in text for text in house.provider.asked)
    assert 0 < summary.embedded < len(after)


async def test_a_new_title_is_embedded_anew_though_ids_stay(house: Any) -> None:
    """What is embedded includes the title, so its vectors would otherwise be of the old one."""
    content = prose("walrus").encode()
    first = await house.ingester().ingest("docs", [Source("a.txt", lambda: content, "s", "Old")], Call())
    before = await house.visible()

    summary = await house.ingester().ingest("docs", [Source("a.txt", lambda: content, "s", "New")], Call())

    assert (summary.changed, summary.embedded, summary.deleted) == (1, first.chunks, 0)
    assert await house.visible() == before


async def test_another_chunking_replaces_everything(house: Any) -> None:
    """The fingerprint covers what shaped the chunks."""
    sources = texts(walrus=prose("walrus"))
    await house.ingester().ingest("docs", sources, Call())
    before = await house.visible()

    summary = await house.ingester(Chunking(size=200, overlap=10)).ingest("docs", sources, Call())

    assert summary.changed == 1
    assert summary.deleted == len(before - await house.visible()) > 0


async def test_another_embedder_is_refused_before_anything_is_done(house: Any) -> None:
    """A collection keeps the embedder it began with."""
    await house.ingester().ingest("docs", texts(walrus=prose("walrus")), Call())
    house.provider.asked.clear()

    with pytest.raises(InvalidRequest, match=r"'model'.*'other'"):
        await house.ingester(embedder="other").ingest("docs", texts(otter=prose("otter")), Call())
    assert not house.provider.asked


async def test_a_documents_bytes_are_let_go_before_it_is_embedded(house: Any) -> None:
    """They may be 64 MB, of sixteen files, while a provider takes its time."""
    freed = asyncio.Event()

    class Watched(bytes):
        """Bytes that tell when nobody has them any more."""

        def __del__(self) -> None:
            loop.call_soon_threadsafe(freed.set)

    loop = asyncio.get_running_loop()
    content = prose("walrus", 60).encode()
    house.provider.hold = asyncio.Event()
    source = Source("walrus.txt", lambda: Watched(content), "test:walrus")
    ingesting = asyncio.create_task(house.ingester().ingest("docs", [source], Call()))
    await house.provider.full.wait()

    async with asyncio.timeout(10):
        await freed.wait()

    assert not ingesting.done()
    house.provider.hold.set()
    assert (await ingesting).new == 1


async def test_a_document_is_read_while_another_is_embedded(house: Any) -> None:
    """However few may be read at once: nobody waits for a provider with the next one unread."""
    house.provider.hold = asyncio.Event()
    loop = asyncio.get_running_loop()

    def second() -> bytes:
        loop.call_soon_threadsafe(house.provider.hold.set)
        return b"The otter waits."

    sources = [*texts(walrus="The walrus waits."), Source("otter.txt", second, "test:otter")]

    async with asyncio.timeout(10):
        summary = await house.ingester(at_once=1).ingest("docs", sources, Call())

    assert summary.new == 2


async def test_one_bad_file_does_not_stop_the_others(house: Any, tmp_path: Path) -> None:
    """Each failure is in the summary with its reason; what was asked for by name is never passed over."""
    (tmp_path / "good.md").write_text("# Good\n\n" + prose("walrus"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    names = ("good.md", "broken.pdf", "empty.txt", "image.png", "missing.txt")

    summary = await house.ingester().ingest("docs", files_from(tmp_path / name for name in names), Call())

    assert [report.outcome for report in summary.reports] == [Outcome.NEW] + [Outcome.FAILED] * 4
    reasons = " | ".join(report.reason for report in summary.failed)
    for expected in ("broken one", "empty.txt is empty", "'.png' is not supported", "missing.txt: No such file"):
        assert expected in reasons
    assert not summary.complete
    assert [one.name for one in await house.catalog.files("docs")] == ["good.md"]


async def test_a_file_that_fails_keeps_its_old_version(house: Any) -> None:
    """What was visible stays visible."""
    await house.ingester().ingest("docs", texts(walrus=prose("walrus")), Call())
    before = await house.visible()
    house.provider.fail = lambda text: Unavailable("The provider is down.") if "otter" in text else None

    summary = await house.ingester().ingest("docs", texts(walrus=prose("otter")), Call())

    assert [report.reason for report in summary.failed] == ["The provider is down."]
    assert {match.file for match in (await house.catalog.chunks("docs", sorted(before))).values()} == {"walrus.txt"}
    assert set(await house.catalog.chunks("docs", sorted(before))) == before


async def test_a_rejected_file_fails_alone(house: Any) -> None:
    """A text that the provider refuses is that file's own trouble."""
    house.provider.fail = lambda text: Rejected("Too rude.") if "otter" in text else None

    summary = await house.ingester().ingest("docs", texts(walrus=prose("walrus"), otter=prose("otter")), Call())

    assert [(report.name, report.reason) for report in summary.failed] == [("otter.txt", "Too rude.")]
    assert (summary.new, summary.given_up) == (1, "")


@pytest.mark.parametrize("error", [Unauthorized("The key is wrong."), QuotaExhausted("No money left.")])
async def test_what_befalls_every_file_gives_up_the_rest(house: Any, error: RushhourError) -> None:
    """One clear message instead of a thousand equal ones, and no further calls."""
    house.provider.fail = lambda _text: error

    summary = await house.ingester().ingest("docs", texts(**{f"n{n}": prose(f"n{n}") for n in range(50)}), Call())

    assert summary.given_up == str(error)
    assert len(summary.failed) <= 4 + IN_FLIGHT
    assert summary.not_tried == 50 - len(summary.failed)
    assert {report.reason for report in summary.reports} == {str(error)}
    assert len(house.provider.asked) < 2 * IN_FLIGHT


async def test_a_collection_that_came_to_nothing_is_not_left_behind(house: Any) -> None:
    """But one that existed stays, however empty."""
    with pytest.raises(UnknownCollection):
        await house.catalog.collection("docs")
    await house.ingester().ingest("docs", texts(empty=" "), Call())
    with pytest.raises(UnknownCollection):
        await house.catalog.collection("docs")

    await house.catalog.ensure_collection("docs", "model")
    await house.ingester().ingest("docs", texts(empty=" "), Call())
    assert (await house.catalog.collection("docs")).files == 0


async def test_a_bad_collection_name_is_refused(house: Any) -> None:
    """Before any file is read."""
    with pytest.raises(InvalidRequest, match="cannot name a collection"):
        await house.ingester().ingest("Bad Name", texts(walrus=prose("walrus")), Call())


async def test_two_files_of_one_name_are_not_mixed_up(house: Any) -> None:
    """The first is ingested, the second fails and says why."""
    sources = [*texts(walrus=prose("walrus")), *texts(walrus=prose("otter"))]

    summary = await house.ingester().ingest("docs", sources, Call())

    assert summary.new == 1
    assert [report.reason for report in summary.failed] == [
        "another file here is named walrus.txt too; ingest the folder that holds both."
    ]


async def test_outdated_vectors_that_cannot_be_deleted_are_a_warning(house: Any) -> None:
    """The new version is visible all the same, and the catalog hides what is left."""
    await house.ingester().ingest("docs", texts(walrus=prose("walrus")), Call())
    house.delete_error = Unavailable("The store is down.")

    summary = await house.ingester().ingest("docs", texts(walrus=prose("otter")), Call())

    (report,) = summary.reports
    assert report.outcome is Outcome.CHANGED
    assert report.reason == f"its {report.deleted} outdated vectors could not be deleted: The store is down."
    assert summary.complete


async def test_a_large_file_is_written_in_parts(house: Any) -> None:
    """Vectors are upserted while others are being embedded, and never all held at once."""
    await house.ingester(Chunking(size=20, overlap=0)).ingest("docs", texts(big=prose("walrus", 900)), Call())

    sizes = [len(upsert.records) for upsert in house.upserts]
    assert len(sizes) > 3
    assert max(sizes) < 250
    assert sum(sizes) == len(await house.visible())


async def test_cancelling_leaves_nothing_running_and_nothing_half(house: Any) -> None:
    """A later ingestion of the same finds whole files and finishes the rest."""
    house.provider.hold = asyncio.Event()
    sources = texts(**{f"n{n}": prose(f"n{n}") for n in range(10)})
    ingesting = asyncio.create_task(house.ingester().ingest("docs", sources, Call()))
    await house.provider.full.wait()
    ingesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingesting

    assert house.provider.at_once == 0
    house.provider.hold = None
    summary = await house.ingester().ingest("docs", sources, Call())
    assert (summary.new, summary.failed) == (10, ())
    await house.visible()


async def test_progress_is_told(house: Any) -> None:
    """Counts only grow; the last event has them all."""
    told: list[Progress] = []
    sources = [*texts(walrus=prose("walrus"), otter=prose("otter"), empty=" ")]

    summary = await house.ingester().ingest("docs", sources, Call(), told.append)

    assert [event.embedded for event in told] == sorted(event.embedded for event in told)
    assert [event.files for event in told] == sorted(event.files for event in told)
    last = told[-1]
    assert (last.files, last.files_total, last.chunks, last.embedded) == (3, 3, summary.embedded, summary.embedded)
    assert Counter(event.outcome for event in told if event.outcome) == {Outcome.NEW: 2, Outcome.FAILED: 1}


async def test_events_reach_the_callers_sink(house: Any) -> None:
    """The ingestion listens too, but takes nothing away."""
    seen: list[Event] = []

    summary = await house.ingester().ingest("docs", texts(walrus=prose("walrus")), Call(emit=seen.append))

    assert sum(isinstance(event, Used) for event in seen) == summary.embedded


async def test_folders_are_walked_in_order(house: Any, tmp_path: Path) -> None:
    """Names are paths inside the folder; hidden things are passed over, other formats skipped and counted."""
    folder = tmp_path / "folder"
    for name in ("b.md", "a/z.txt", "a/y.TXT", ".hidden/x.txt", "a/.secret.txt", "a/logo.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(prose(name))

    summary = await house.ingester().ingest("docs", files_from([folder]), Call())

    assert [report.name for report in summary.reports] == ["b.md", "a/logo.png", "a/y.TXT", "a/z.txt"]
    assert (summary.new, summary.skipped, summary.failed) == (3, 1, ())
    assert summary.complete


async def test_the_python_manual_is_ingested_whole(house: Any) -> None:
    """Every topic, under its own heading."""
    summary = await house.ingester(Chunking()).ingest("docs", python_manual(), Call())

    assert summary.complete
    assert summary.new == summary.files > 70
    found = await house.catalog.file("docs", "with.txt")
    assert found is not None
    assert (found.title, found.source) == ('The "with" statement', "python:with")
    assert len(await house.visible()) == summary.chunks
    again = await house.ingester(Chunking()).ingest("docs", python_manual(), Call())
    assert (again.unchanged, again.embedded) == (summary.files, 0)
