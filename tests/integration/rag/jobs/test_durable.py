"""What ingestion never does: buy a text twice, leave a vector behind, lose a file, show what is gone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rushhour.errors import InvalidRequest, QuotaExhausted, Rejected, Unavailable
from rushhour.flow.call import Call
from rushhour.rag.documents.sources import Source, files_from, root_of
from rushhour.rag.ingestion.backend import COLLECTION, JOB
from rushhour.rag.ingestion.ingest_report import Outcome, Summary


def report(subject: str, sections: int = 3) -> bytes:
    """Write a document whose title is its own, not its file's."""
    told = (f"## Part {n}\n\n" + f"The {subject} does thing {n} well. " * 4 for n in range(sections))
    return "\n\n".join([f"# All about the {subject}", *told]).encode()


def source(name: str, content: bytes, root: str = "") -> Source:
    """Make a source."""
    return Source(name, lambda: content, name, root=root)


async def ingest_folder(house: Any, folder: Path, collection: str = "docs") -> Summary:
    """Ingest a folder as it is now."""
    summary: Summary = await house.ingester().ingest(collection, files_from([folder]), Call(), roots=[root_of(folder)])
    return summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of three documents."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("walrus.md", "otter.md", "deep/puffin.md"):
        (folder / name).write_bytes(report(name))
    return folder


async def test_another_collection_costs_nothing(house: Any, folder: Path) -> None:
    """Vectors are kept by what was embedded, whatever it was embedded for."""
    first = await ingest_folder(house, folder)
    again = await ingest_folder(house, folder, "other")

    assert (again.new, again.embedded, again.kept, again.tokens) == (3, 0, first.embedded, None)
    assert max(house.provider.asked.values()) == 1
    assert len(await house.stored("other")) == again.chunks


async def test_a_dropped_collection_costs_nothing_to_have_again(house: Any, folder: Path) -> None:
    """What is kept outlives what it was bought for."""
    await ingest_folder(house, folder)
    await house.jobs().drop("docs", Call())

    again = await ingest_folder(house, folder)

    assert (again.new, again.embedded) == (3, 0)
    await house.visible()


async def test_equal_texts_at_the_same_time_are_bought_once(house: Any) -> None:
    """Files that are open together wait for one another's purchases."""
    content = report("walrus", 12)

    summary = await house.ingester().ingest("docs", [source(f"{n}.md", content) for n in range(6)], Call())

    assert max(house.provider.asked.values()) == 1
    assert summary.embedded == len(house.provider.asked)
    assert summary.embedded + summary.kept == summary.chunks == len(await house.visible())


async def test_another_embedder_buys_its_own(house: Any, folder: Path) -> None:
    """Vectors of two models have nothing to do with each other."""
    await ingest_folder(house, folder)
    bought = len(house.provider.asked)

    await house.ingester(embedder="other").ingest("second", files_from([folder]), Call())

    assert sum(house.provider.asked.values()) == 2 * bought


async def test_what_is_gone_from_its_folder_leaves_the_collection(house: Any, folder: Path) -> None:
    """With its chunks and its vectors, and the summary says so; other folders' files stay."""
    await ingest_folder(house, folder)
    await house.ingester().ingest("docs", [source("apart.md", report("heron"))], Call())
    chunks = await house.catalog.chunk_ids("docs", "deep/puffin.md")
    (folder / "deep" / "puffin.md").unlink()

    summary = await ingest_folder(house, folder)

    assert summary.removed == ("deep/puffin.md",)
    assert summary.deleted == len(chunks)
    assert [file.name for file in await house.catalog.files("docs")] == ["apart.md", "otter.md", "walrus.md"]
    await house.visible()
    assert await house.catalog.lexical("docs", "puffin", 5) == []


async def test_without_its_root_nothing_is_missed(house: Any, folder: Path) -> None:
    """Whoever ingests single files, or keeps what is missing, removes nothing."""
    await ingest_folder(house, folder)
    (folder / "otter.md").unlink()

    summary = await house.ingester().ingest("docs", files_from([folder]), Call())

    assert summary.removed == ()
    assert len(await house.catalog.files("docs")) == 3


async def test_a_folder_that_cannot_be_listed_misses_nothing(house: Any, folder: Path) -> None:
    """Who cannot look cannot know: one hole, and everything of that root stays."""
    await ingest_folder(house, folder)
    (folder / "otter.md").unlink()
    (folder / "broken.zip").write_bytes(b"no archive")

    summary = await ingest_folder(house, folder)

    assert (summary.removed, len(summary.failed)) == ((), 1)
    (folder / "broken.zip").unlink()
    assert (await ingest_folder(house, folder)).removed == ("otter.md",)


async def test_a_renamed_file_costs_nothing(house: Any, folder: Path) -> None:
    """Neither one with a title of its own, nor one that is titled by its name: its vectors are carried over."""
    (folder / "notes.txt").write_bytes(b"The heron waits. " * 30)
    await ingest_folder(house, folder)
    house.provider.asked.clear()
    (folder / "notes.txt").rename(folder / "heron.txt")
    (folder / "otter.md").rename(folder / "deep" / "sea otter.md")

    summary = await ingest_folder(house, folder)

    assert not house.provider.asked
    assert (summary.new, summary.embedded) == (2, 0)
    assert set(summary.removed) == {"notes.txt", "otter.md"}
    assert set(summary.renamed) == {("notes.txt", "heron.txt"), ("otter.md", "deep/sea otter.md")}
    found = await house.catalog.file("docs", "heron.txt")
    assert found.title == "heron"
    await house.visible()
    reindexed = await house.jobs().reindex("docs", Call())
    assert reindexed.embedded == 0


async def test_what_could_not_move_stays_where_it_was(house: Any, folder: Path) -> None:
    """While the store is down a file under a new name is not written; its old name is not taken away before it is."""
    await ingest_folder(house, folder)
    (folder / "otter.md").rename(folder / "deep" / "sea otter.md")
    house.upsert_error = Unavailable("Down.")

    summary = await ingest_folder(house, folder)

    assert (summary.removed, [one.name for one in summary.failed]) == ((), ["deep/sea otter.md"])
    assert {file.name for file in await house.catalog.files("docs")} == {"walrus.md", "otter.md", "deep/puffin.md"}
    await house.visible()
    house.upsert_error = None
    again = await ingest_folder(house, folder)
    assert (again.removed, again.renamed) == (("otter.md",), (("otter.md", "deep/sea otter.md"),))
    await house.visible()


async def test_what_is_given_up_removes_nothing(house: Any, folder: Path) -> None:
    """Without money nobody knows what a folder will hold in the end."""
    await ingest_folder(house, folder)
    (folder / "otter.md").unlink()
    (folder / "heron.md").write_bytes(report("heron"))
    house.provider.fail = lambda _text: QuotaExhausted("No money.")

    summary = await ingest_folder(house, folder)

    assert (summary.given_up, summary.removed) == ("No money.", ())
    assert len(await house.catalog.files("docs")) == 3


async def test_a_file_found_elsewhere_belongs_there_from_then_on(house: Any, folder: Path, tmp_path: Path) -> None:
    """A folder that was moved is the root of its files when it is ingested again, at no cost."""
    await ingest_folder(house, folder)
    moved = folder.rename(tmp_path / "moved")  # noqa: ASYNC240  # nobody else is on this loop

    assert (await ingest_folder(house, moved)).unchanged == 3
    (moved / "otter.md").unlink()

    assert (await ingest_folder(house, moved)).removed == ("otter.md",)


async def test_what_may_pass_is_tried_again(house: Any, folder: Path) -> None:
    """An outage longer than a call's own retries costs a file one attempt; what was bought stays bought."""
    failures = iter([Unavailable("Down."), Unavailable("Down.")])
    house.provider.fail = lambda text: next(failures, None) if "otter" in text else None

    summary = await ingest_folder(house, folder)

    assert (summary.new, summary.failed) == (3, ())
    assert summary.embedded == len(house.provider.asked)
    await house.visible()


async def test_what_several_attempts_bought_counts_as_bought(house: Any) -> None:
    """Once for the whole file: only what was paid for before this ingestion counts as kept."""
    await house.ingester().ingest("other", [source("a.md", report("otter", 3))], Call())
    before = len(house.provider.asked)
    failures = iter([Unavailable("Down."), Unavailable("Down.")])
    house.provider.fail = lambda text: next(failures, None) if "thing 7" in text else None

    summary = await house.ingester().ingest("docs", [source("a.md", report("otter", 9))], Call())

    (one,) = summary.reports
    assert (one.outcome, one.attempts) == (Outcome.NEW, 3)
    assert (one.embedded, one.kept) == (len(house.provider.asked) - before, before)
    assert one.embedded + one.kept == one.chunks


async def test_what_failed_attempts_bought_counts_as_bought(house: Any) -> None:
    """A file that is parked shows nothing and has kept nothing, but what was bought for it was paid for."""
    house.provider.fail = lambda text: Unavailable("Down.") if "thing 7" in text else None

    summary = await house.ingester().ingest("docs", [source("a.md", report("otter", 9))], Call())

    (one,) = summary.reports
    bought = sum("thing 7" not in text for text in house.provider.asked)
    assert (one.outcome, one.attempts) == (Outcome.FAILED, 3)
    assert (one.embedded, one.kept, one.chunks) == (bought, 0, 0)


async def test_a_file_has_three_attempts(house: Any, folder: Path) -> None:
    """Then it is given up with its reason; what is refused for good is not tried twice."""
    house.provider.fail = lambda text: (
        Unavailable("Down.") if "otter" in text else Rejected("Rude.") if "puffin" in text else None
    )

    summary = await ingest_folder(house, folder)

    assert {(one.name, one.reason, one.attempts) for one in summary.failed} == {
        ("otter.md", "Down.", 3),
        ("deep/puffin.md", "Rude.", 1),
    }


async def test_vectors_of_a_version_that_never_was_are_swept(house: Any, folder: Path) -> None:
    """What was written before the failure is noted, and deleted by the next ingestion."""
    all_written = asyncio.Barrier(3)

    async def die(*_: object) -> None:
        await all_written.wait()  # what is on its way when a process dies may be paid for twice
        raise RuntimeError("The process dies here.")

    publish, house.catalog.publish = house.catalog.publish, die
    with pytest.raises(ExceptionGroup):
        await ingest_folder(house, folder)
    house.catalog.publish = publish
    assert await house.stored()
    (folder / "otter.md").write_bytes(report("something else"))

    summary = await ingest_folder(house, folder)

    assert (summary.new, summary.left_over) == (3, 0)
    await house.visible()
    assert summary.embedded < summary.chunks
    assert max(house.provider.asked.values()) == 1


async def test_vectors_that_could_not_be_deleted_are_deleted_later(house: Any, folder: Path) -> None:
    """The summary counts them until they are gone."""
    await ingest_folder(house, folder)
    (folder / "otter.md").write_bytes(report("something else"))
    (folder / "walrus.md").unlink()
    house.delete_error = Unavailable("The store is down.")
    first = await ingest_folder(house, folder)
    assert first.left_over == first.deleted >= 6
    house.delete_error = None

    summary = await ingest_folder(house, folder)

    assert (summary.unchanged, summary.left_over) == (2, 0)
    await house.visible()


async def test_two_at_once_are_both_right(house: Any, folder: Path) -> None:
    """They take turns at each file, and the second finds what the first has done."""
    first, second = await asyncio.gather(ingest_folder(house, folder), ingest_folder(house, folder))

    assert first.complete
    assert second.complete
    assert first.new + second.new == first.unchanged + second.unchanged == 3
    assert max(house.provider.asked.values()) == 1
    await house.visible()


async def test_two_that_disagree_take_turns(house: Any) -> None:
    """The last one wins wholly, and no vector of the other is left, or missing."""
    one, other = report("walrus", 9), b"\n".join([*report("walrus", 6).splitlines(), b"And an end."])
    await asyncio.gather(
        *(house.ingester().ingest("docs", [source("a.md", content)], Call()) for content in (one, other, one, other))
    )

    ids = await house.visible()
    assert ids
    assert await house.catalog.garbage("docs") == {}


async def test_a_dead_ingestions_claim_is_taken_over(house: Any, folder: Path) -> None:
    """Who holds no lease is dead; who does is waited for."""
    await house.catalog.ensure_collection("docs", "model")
    await house.catalog.claim("docs", "otter.md", "dead")
    async with house.leases.hold(JOB + "alive") as held:
        assert held
        await house.catalog.claim("docs", "walrus.md", "alive")
        ingesting = asyncio.create_task(ingest_folder(house, folder))
        while len(await house.catalog.files("docs")) < 2:  # noqa: ASYNC110  # another process would have to look too
            await asyncio.sleep(0.01)
        assert await house.catalog.file("docs", "walrus.md") is None
        assert not ingesting.done()
        await house.catalog.release("docs", "walrus.md", "alive")

    assert (await ingesting).new == 3


async def test_nobody_ingests_into_what_is_being_rebuilt(house: Any, folder: Path) -> None:
    """The message says why, and what to do."""
    async with house.leases.hold(COLLECTION + "docs") as held:
        assert held
        with pytest.raises(InvalidRequest, match="docs is being dropped or reindexed"):
            await ingest_folder(house, folder)


async def test_outcomes_are_the_same_with_leftovers_of_a_killed_process(house: Any, folder: Path) -> None:
    """A collection that exists without files, claims and garbage of nobody: all is as if it were new."""
    await house.catalog.ensure_collection("docs", "model")
    await house.catalog.claim("docs", "otter.md", "dead")
    await house.catalog.note_garbage("docs", "otter.md", ["docs/otter.md/x-0"])

    summary = await ingest_folder(house, folder)

    assert [one.outcome for one in summary.reports] == [Outcome.NEW] * 3
    assert await house.catalog.garbage("docs") == {}
