"""Jobs: recorded, resumed where they were, retried; dry runs, rebuilding and dropping of collections."""

import asyncio
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushhour.catalog.contract import File
from rushhour.catalog.job_contract import FileState, Job, JobFile, JobState
from rushhour.errors import InvalidRequest, QuotaExhausted, Rejected, Unavailable, UnknownCollection
from rushhour.flow.call import Call
from rushhour.hops.contract import Delete, Match, Record, Upsert, VectorQuery
from rushhour.rag.chunking.chunk import Chunking
from rushhour.rag.documents.asked import Asked
from rushhour.rag.documents.sources import MANUAL
from rushhour.rag.ingestion.backend import COLLECTION
from rushhour.rag.ingestion.ingest_report import Outcome


def report(subject: str) -> str:
    """Write a document whose title is its own, not its file's."""
    told = (f"## Part {n}\n\n" + f"The {subject} does thing {n} well. " * 4 for n in range(3))
    return "\n\n".join([f"# All about the {subject}", *told])


def everything(folder: Path) -> set[Path]:
    """List all that is in a folder."""
    return set(folder.rglob("*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of twelve documents."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n:02}.md").write_text(report(f"walrus {n}"))
    return folder


@pytest.fixture
def asked(folder: Path) -> Asked:
    """Ask for that folder."""
    return Asked((str(folder),))


async def interrupt(house: Any, asked: Asked) -> str:
    """Begin an ingestion and stop it in the middle; return its job."""
    house.provider.hold = asyncio.Event()
    ingesting = asyncio.create_task(house.jobs().ingest("docs", asked, Call()))
    await house.provider.full.wait()
    ingesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingesting
    house.provider.hold = None
    (job,) = await house.catalog.jobs("docs")
    return str(job.id)


async def test_a_job_is_recorded_with_its_files_and_what_it_cost(house: Any, asked: Asked) -> None:
    """What is asked, how it stands, and every file; the id is short enough to type."""
    summary = await house.jobs().ingest("docs", asked, Call())

    (job,) = await house.jobs().jobs()
    assert (job.id, job.collection, job.state, summary.resumed) == (summary.job, "docs", JobState.DONE, False)
    assert (job.files, job.done, job.chunks, job.embedded) == (12, 12, summary.chunks, summary.embedded)
    assert (job.tokens, job.cost_usd) == (summary.tokens, pytest.approx(summary.cost_usd))
    assert job.ended >= job.began >= job.created > 1_600_000_000
    assert len(job.id) == 6
    assert job.id.isalnum()
    assert Asked.from_json(job.asked) == asked
    files = await house.jobs().files(job.id)
    assert [file.name for file in files] == [f"{n:02}.md" for n in range(12)]
    assert {(file.state, file.outcome, file.attempts) for file in files} == {(FileState.DONE, Outcome.NEW, 1)}


async def test_an_interrupted_job_is_resumed_by_asking_the_same_again(house: Any, asked: Asked) -> None:
    """It is the same job, and nothing that was answered is embedded again."""
    job = await interrupt(house, asked)
    assert (await house.jobs().job(job)).state is JobState.INTERRUPTED
    lost = house.provider.asked.copy()

    summary = await house.jobs().ingest("docs", asked, Call())

    assert (summary.job, summary.resumed, summary.files) == (job, True, 12)
    assert [one.state for one in await house.jobs().jobs()] == [JobState.DONE]
    assert all(times == 1 + (text in lost) for text, times in house.provider.asked.items())
    await house.visible()


async def test_what_is_done_leaves_no_like_of_it_to_resume(house: Any, asked: Asked) -> None:
    """Two that were asked the same were killed: the one that is resumed does the work of both, and of no others."""
    first = await interrupt(house, asked)
    for name, told in (("killed", asked), ("queued", asked), ("unlike", replace(asked, keep_missing=True))):
        await house.catalog.create_job(Job(name, "docs", told.as_json()))
        if name != "queued":
            await house.catalog.set_job(name, JobState.RUNNING)  # and its process died

    await house.jobs().run(first, Call())

    states = {job.id: job.state for job in await house.jobs().jobs()}
    assert states == {first: JobState.DONE, "queued": JobState.QUEUED, "unlike": JobState.INTERRUPTED}


async def test_a_job_is_resumed_by_its_id(house: Any, asked: Asked, folder: Path) -> None:
    """Files that came or changed meanwhile are taken as they are now."""
    job = await interrupt(house, asked)
    (folder / "03.md").write_text(report("otter"))
    (folder / "04.md").unlink()

    summary = await house.jobs().run(job, Call())

    assert (summary.job, summary.resumed, summary.new) == (job, True, 11)
    assert (await house.jobs().job(job)).files == 11
    assert len(await house.catalog.lexical("docs", "otter", 5)) > 0


async def test_what_was_done_before_keeps_its_outcome(house: Any, asked: Asked) -> None:
    """A resumed job tells of the whole job, not of its last run; counts of embeddings too."""
    failing = "walrus 11 does thing 2"
    house.provider.fail = lambda text: QuotaExhausted("No money.") if failing in text else None
    first = await house.jobs().ingest("docs", asked, Call())
    assert first.given_up == "No money."
    (job,) = await house.jobs().jobs()
    assert (job.state, job.reason) == (JobState.FAILED, "No money.")
    house.provider.fail = lambda _text: None

    second = await house.jobs().ingest("docs", asked, Call())

    assert (second.job, second.resumed, second.new, second.complete) == (first.job, True, 12, True)
    assert second.chunks == len(await house.visible())
    assert {text for text, times in house.provider.asked.items() if times > 1 and failing not in text} == set()


async def test_a_job_that_lives_is_not_resumed_by_another(house: Any, asked: Asked) -> None:
    """Who asks by id is told; who asks for the same gets a job of his own, and both are right."""
    house.provider.hold = asyncio.Event()
    ingesting = asyncio.create_task(house.jobs().ingest("docs", asked, Call()))
    await house.provider.full.wait()
    (job,) = await house.jobs().jobs()
    assert job.state is JobState.RUNNING
    with pytest.raises(InvalidRequest, match=f"The job {job.id} is being run by another process"):
        await house.jobs().run(job.id, Call())
    other = asyncio.create_task(house.jobs().ingest("docs", asked, Call()))
    house.provider.hold.set()

    first, second = await ingesting, await other

    assert first.job != second.job
    assert first.new + second.new == 12
    assert max(house.provider.asked.values()) == 1
    await house.visible()


async def test_a_dead_process_leaves_an_interrupted_job(house: Any, asked: Asked) -> None:
    """No heartbeat: the lease is gone with its process, whatever the record says."""
    job = await house.jobs().create("docs", asked)
    await house.catalog.set_job(job.id, JobState.RUNNING)

    assert (await house.jobs().job(job.id)).state is JobState.INTERRUPTED
    assert (await house.jobs().ingest("docs", asked, Call())).job == job.id


async def test_parked_files_stay_parked_until_they_are_retried(house: Any, asked: Asked) -> None:
    """With their reasons and attempts; a retry takes only them."""
    house.provider.fail = lambda text: (
        Unavailable("Down.") if "walrus 3 " in text else Rejected("Rude.") if "walrus 4 " in text else None
    )
    summary = await house.jobs().ingest("docs", asked, Call())
    jobs = house.jobs()
    parked = await jobs.files(summary.job, FileState.PARKED)
    assert [(one.name, one.reason, one.attempts) for one in parked] == [("03.md", "Down.", 3), ("04.md", "Rude.", 1)]
    assert (await jobs.job(summary.job)).parked == 2
    house.provider.fail = lambda text: Rejected("Rude.") if "walrus 4 " in text else None

    again = await jobs.retry(summary.job, Call())

    assert (again.new, again.job, [one.name for one in again.failed]) == (1, summary.job, ["04.md"])
    job = await jobs.job(summary.job)
    assert (job.state, job.done, job.parked) == (JobState.DONE, 11, 1)
    house.provider.fail = lambda _text: None
    await jobs.retry(summary.job, Call())
    assert len(await house.catalog.files("docs")) == 12  # the others stay
    with pytest.raises(InvalidRequest, match="has no parked files"):
        await jobs.retry(summary.job, Call())
    await house.visible()


async def test_a_retry_that_is_killed_as_it_begins_can_be_resumed(
    house: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files wait again then, and no longer count as parked."""
    house.provider.fail = lambda text: Rejected("Rude.") if "walrus 3 " in text else None
    summary = await house.jobs().ingest("docs", asked, Call())
    house.provider.fail = lambda _text: None
    note = house.catalog.note_job_files

    async def killed(job: str, files: Sequence[JobFile]) -> None:
        await note(job, files)
        raise asyncio.CancelledError

    monkeypatch.setattr(house.catalog, "note_job_files", killed)
    with pytest.raises(asyncio.CancelledError):
        await house.jobs().retry(summary.job, Call())
    monkeypatch.undo()

    assert (await house.jobs().job(summary.job)).state is JobState.INTERRUPTED
    again = await house.jobs().run(summary.job, Call())
    assert (again.complete, (await house.jobs().job(summary.job)).done) == (True, 12)


async def test_what_is_gone_when_it_is_retried_is_told(house: Any, asked: Asked, folder: Path) -> None:
    """It is no failure any more, and nothing to be retried again."""
    house.provider.fail = lambda text: Rejected("Rude.") if "walrus 3 " in text else None
    summary = await house.jobs().ingest("docs", asked, Call())
    (folder / "03.md").unlink()

    again = await house.jobs().retry(summary.job, Call())

    told = [(one.name, one.outcome, one.reason) for one in again.reports]
    assert told == [("03.md", Outcome.SKIPPED, "It is no longer there.")]
    assert (await house.jobs().job(summary.job)).parked == 0


async def test_what_is_refused_at_once_leaves_no_job(house: Any, asked: Asked) -> None:
    """There is nothing to resume."""
    with pytest.raises(InvalidRequest, match="cannot name a collection"):
        await house.jobs().ingest("No Name", asked, Call())

    assert await house.jobs().jobs() == []


async def test_a_resumed_job_leaves_parked_files_alone(house: Any, asked: Asked) -> None:
    """They have had their attempts; the summary still names them."""
    house.provider.fail = lambda text: (
        Rejected("Rude.") if "walrus 0 " in text else QuotaExhausted("No money.") if "walrus 11 " in text else None
    )
    first = await house.jobs(at_once=1).ingest("docs", asked, Call())  # the first has failed before the last begins
    house.provider.fail = lambda _text: None

    with pytest.raises(InvalidRequest, match=f"rushhour jobs resume {first.job}` first"):
        await house.jobs().retry(first.job, Call())

    second = await house.jobs().run(first.job, Call())

    assert [(one.name, one.reason) for one in second.failed] == [("00.md", "Rude.")]
    assert second.new == 11


async def test_what_is_parked_may_be_what_is_gone_elsewhere(house: Any, asked: Asked, folder: Path) -> None:
    """A job that is resumed takes nothing away while a file that it does not look at may be it under a new name."""
    await house.jobs().ingest("docs", asked, Call())
    (folder / "05.md").rename(folder / "a5.md")
    (folder / "zz.md").write_text(report("heron"))
    house.upsert_error = Rejected("Rude.")
    house.provider.fail = lambda text: QuotaExhausted("No money.") if "heron" in text else None
    first = await house.jobs(at_once=1).ingest("docs", asked, Call())
    assert [row.name for row in await house.jobs().files(first.job, FileState.PARKED)] == ["a5.md"]
    house.upsert_error, house.provider.fail = None, lambda _text: None

    second = await house.jobs().run(first.job, Call())

    names = {file.name for file in await house.catalog.files("docs")}
    assert (second.removed, names >= {"05.md", "zz.md"}) == ((), True)
    third = await house.jobs().ingest("docs", asked, Call())
    assert third.renamed == (("05.md", "a5.md"),)
    await house.visible()


async def test_a_catalog_that_fails_once_costs_an_attempt(
    house: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any other failure that may pass, it is tried again."""
    read, failures = house.catalog.job_file, [Unavailable("Locked.")]

    async def failing(job: str, name: str) -> JobFile | None:
        if failures and name == "05.md":
            raise failures.pop()
        found: JobFile | None = await read(job, name)
        return found

    monkeypatch.setattr(house.catalog, "job_file", failing)
    summary = await house.jobs().ingest("docs", asked, Call())

    assert (summary.complete, summary.new) == (True, 12)
    assert [one.attempts for one in summary.reports if one.name == "05.md"] == [2]


async def test_counts_outlive_the_files_that_were_forgotten(house: Any, asked: Asked) -> None:
    """Of a job that was done twice only what is parked is kept by name; a retry adds to what was counted."""
    house.provider.fail = lambda text: Rejected("Rude.") if "walrus 3 " in text else None
    first = await house.jobs().ingest("docs", asked, Call())
    before = await house.jobs().job(first.job)
    await house.jobs().ingest("docs", asked, Call())
    house.provider.fail = lambda _text: None

    await house.jobs().retry(first.job, Call())

    after = await house.jobs().job(first.job)
    assert (before.done, before.parked) == (11, 1)
    assert (after.done, after.parked) == (12, 0)
    assert after.chunks > before.chunks


@pytest.mark.parametrize("ident", ["nope", "bad\udcff", "größe"])
async def test_an_id_that_no_job_has_is_told(house: Any, ident: str) -> None:
    """Also one that is no text at all."""
    with pytest.raises(InvalidRequest, match="There is no job"):
        await house.jobs().job(ident)
    assert await house.jobs().jobs(ident) == []


async def test_jobs_that_cannot_be_run_are_refused(house: Any, asked: Asked) -> None:
    """One that is not there, and one that is done."""
    summary = await house.jobs().ingest("docs", asked, Call())

    with pytest.raises(InvalidRequest, match="There is no job 'nope'"):
        await house.jobs().run("nope", Call())
    with pytest.raises(InvalidRequest, match="is done"):
        await house.jobs().run(summary.job, Call())


async def test_standard_input_outlives_its_process(house: Any, tmp_path: Path) -> None:
    """It is kept until its job is done, and then it is not."""
    asked = Asked(("-",), name="notes.md")
    content = report("heron").encode()
    house.provider.fail = lambda _text: QuotaExhausted("No money.")
    first = await house.jobs().ingest("docs", asked, Call(), piped=io.BytesIO(content))
    spooled = list((tmp_path / "data" / "spool").iterdir())
    assert [file.read_bytes() for file in spooled] == [content]
    house.provider.fail = lambda _text: None

    second = await house.jobs().run(first.job, Call())

    assert (second.new, second.reports[0].name) == (1, "notes.md")
    assert list((tmp_path / "data" / "spool").iterdir()) == []
    with pytest.raises(InvalidRequest, match="Standard input and its name"):
        await house.jobs().ingest("docs", asked, Call())


async def test_the_manual_and_its_removed_topics(house: Any) -> None:
    """A request without paths is the manual; a topic that this Python lacks leaves."""
    jobs = house.jobs(Chunking())
    summary = await jobs.ingest("docs", Asked(), Call())
    assert summary.new > 70
    await house.catalog.publish("docs", File("print.txt", "v1", "print", "python:print", 1, root=MANUAL), [])

    again = await jobs.ingest("docs", Asked(), Call())

    assert (again.unchanged, again.removed) == (summary.files, ("print.txt",))


async def test_metadata_changes_without_embedding_anything(house: Any, asked: Asked) -> None:
    """What is said of documents is theirs from then on, in every passage; it costs nothing to say something else."""
    await house.jobs().ingest("docs", replace(asked, metadata=(("team", "billing"), ("year", 2026))), Call())

    told = await house.jobs().ingest("docs", replace(asked, metadata=(("team", "sales"),)), Call())

    assert {one.outcome for one in told.reports} == {Outcome.CHANGED}
    assert max(house.provider.asked.values()) == 1
    ids = await house.catalog.chunk_ids("docs", "00.md")
    chunks = await house.catalog.chunks("docs", sorted(ids))
    assert [dict(one.metadata) for one in chunks.values()] == [{"team": "sales"}] * len(ids)


async def test_missing_files_are_kept_if_so_asked(house: Any, asked: Asked, folder: Path) -> None:
    """`keep_missing` is part of what is asked."""
    await house.jobs().ingest("docs", asked, Call())
    (folder / "03.md").unlink()

    assert (await house.jobs().ingest("docs", Asked(asked.paths, keep_missing=True), Call())).removed == ()
    assert (await house.jobs().ingest("docs", asked, Call())).removed == ("03.md",)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(house: Any, asked: Asked, folder: Path) -> None:
    """Then the real run does exactly that."""
    jobs = house.jobs()
    before = await jobs.plan("docs", asked)
    assert len(before.with_outcome(Outcome.NEW)) == 12
    assert not house.provider.asked
    assert await house.catalog.collections() == []
    real = await jobs.ingest("docs", asked, Call())
    assert (before.embedded, before.kept) == (real.embedded, 0)
    assert before.cost_usd == pytest.approx(before.tokens * 2e-6)
    assert before.tokens > 10 * before.embedded

    (folder / "00.md").write_text(report("otter"))
    (folder / "01.md").unlink()
    (folder / "02.md").rename(folder / "renamed.md")
    (folder / "broken.pdf").write_bytes(b"%PDF broken")
    planned = await jobs.plan("docs", asked)
    bought = len(house.provider.asked)
    real = await jobs.ingest("docs", asked, Call())

    assert [(one.name, one.outcome, one.chunks, one.embedded, one.kept) for one in planned.reports] == [
        (one.name, one.outcome, one.chunks, one.embedded, one.kept) for one in real.reports
    ]
    assert set(planned.removed) == set(real.removed) == {"01.md", "02.md"}
    assert planned.embedded == len(house.provider.asked) - bought
    assert list((await house.jobs().plan("docs", asked)).with_outcome(Outcome.NEW, Outcome.CHANGED)) == []


async def test_a_dry_run_counts_equal_texts_once(house: Any, asked: Asked, folder: Path) -> None:
    """As they would be paid for: two copies of a document cost what one does."""
    (folder / "copy.md").write_text(report("otter"))
    (folder / "deep").mkdir()
    (folder / "deep" / "copy.md").write_text(report("otter"))

    planned = await house.jobs().plan("docs", asked)
    real = await house.jobs().ingest("docs", asked, Call())

    assert planned.embedded == real.embedded == len(house.provider.asked)
    assert planned.kept == real.kept > 0
    first, second = (one for one in planned.reports if one.name.endswith("copy.md"))
    assert first.embedded + second.embedded == first.chunks == second.chunks


async def test_a_dry_run_refuses_what_ingesting_would(house: Any, asked: Asked) -> None:
    """A name that no collection can have, and another embedder; it says so in the same words."""
    await house.jobs().ingest("docs", asked, Call())

    for collection, jobs in (
        ("No Name", house.jobs()),
        ("../../docs", house.jobs()),
        ("docs", house.jobs(embedder="other")),
    ):
        with pytest.raises(InvalidRequest) as planned:
            await jobs.plan(collection, asked)
        with pytest.raises(InvalidRequest) as ingested:
            await jobs.ingest(collection, asked, Call())
        assert str(planned.value) == str(ingested.value)


@pytest.mark.parametrize("name", ["x" * 300, "a/b", "../../out"])
async def test_any_name_is_answered(house: Any, name: str, tmp_path: Path) -> None:
    """That there is no such collection or job; and nothing is made of it on the disk."""
    before = everything(tmp_path)

    with pytest.raises(UnknownCollection):
        await house.jobs().drop(name, Call())
    with pytest.raises(UnknownCollection):
        await house.jobs().reindex(name, Call())
    for trying in (house.jobs().run(name, Call()), house.jobs().retry(name, Call()), house.jobs().forget(name)):
        with pytest.raises(InvalidRequest, match="There is no job"):
            await trying

    assert everything(tmp_path) - before == {tmp_path / "data" / "locks"}


async def test_reindexing_mends_what_is_broken_without_paying(house: Any, asked: Asked) -> None:
    """Lost vectors, strays and a broken lexical index; questions find all of it again."""
    summary = await house.jobs().ingest("docs", asked, Call())
    ids = await house.visible()
    some = sorted(ids)[:20]
    stray = house.upserts[0].records[0]
    await house.vectors.delete(Delete("docs", some), Call())
    await house.vectors.upsert(Upsert("docs", [Record("docs/stray", stray.vector, {})]), Call())
    bought = sum(house.provider.asked.values())
    told: list[tuple[int, int]] = []

    done = await house.jobs().reindex("docs", Call(), lambda done, of: told.append((done, of)))

    assert (done.chunks, done.kept, done.embedded, done.strays) == (summary.chunks, summary.chunks, 0, 1)
    assert told[-1] == (summary.chunks, summary.chunks)
    assert sum(house.provider.asked.values()) == bought
    assert await house.visible() == ids
    assert len(await house.catalog.lexical("docs", "walrus", 1000)) == summary.chunks


async def test_a_store_that_forgets_late_is_cleared_once(
    house: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that are deleted and still found are neither deleted nor counted again."""
    await house.jobs().ingest("docs", asked, Call())
    ids = await house.visible()
    gone, asked_for, deleted = ["docs/stray", "docs/left"], 0, Counter[str]()
    await house.catalog.note_garbage("docs", "x.md", ["docs/left"])
    query, delete = house.vectors.query, house.vectors.delete

    async def lagging(request: VectorQuery, call: Call) -> list[Match]:
        nonlocal asked_for
        asked_for += 1
        assert asked_for < 5, "it never ends"
        return [*await query(request, call), *(Match(one, 0.5) for one in gone)]

    async def counted(request: Delete, call: Call) -> None:
        deleted.update(request.ids or ())
        await delete(request, call)

    monkeypatch.setattr(house.vectors, "query", lagging)
    monkeypatch.setattr(house.vectors, "delete", counted)
    done = await house.jobs().reindex("docs", Call())
    monkeypatch.undo()

    assert (done.strays, deleted) == (2, dict.fromkeys(gone, 1))
    assert await house.visible() == ids


async def test_reindexing_buys_only_what_is_not_kept(house: Any, asked: Asked) -> None:
    """An old data directory has no kept vectors: they are bought once more, and then kept."""
    summary = await house.jobs().ingest("docs", asked, Call())
    for later in (2**40, 2**41):
        await house.kept.settle("model", (), await house.kept.due("model", later), later)
    assert await house.kept.count() == 0

    first = await house.jobs().reindex("docs", Call())
    second = await house.jobs().reindex("docs", Call())

    assert (first.embedded, first.kept) == (summary.chunks, 0)
    assert (second.embedded, second.kept) == (0, summary.chunks)


async def test_a_collection_that_is_worked_on_is_not_dropped_nor_rebuilt(house: Any, asked: Asked) -> None:
    """The message says what to do; so it does for one that is not there, or of another embedder."""
    await house.jobs().ingest("docs", asked, Call())
    async with house.leases.hold(COLLECTION + "docs", shared=True):
        for trying in (house.jobs().drop("docs", Call()), house.jobs().reindex("docs", Call())):
            with pytest.raises(InvalidRequest, match="docs is being worked on"):
                await trying
    for trying in (house.jobs().drop("nope", Call()), house.jobs().reindex("nope", Call())):
        with pytest.raises(UnknownCollection, match="nope"):
            await trying
    with pytest.raises(InvalidRequest, match=r"'model'.*'other'"):
        await house.jobs(embedder="other").reindex("docs", Call())


async def test_a_dropped_collection_leaves_nothing(house: Any, asked: Asked) -> None:
    """Neither rows, vectors nor jobs."""
    await house.jobs().ingest("docs", asked, Call())

    dropped = await house.jobs().drop("docs", Call())

    assert (dropped.files, dropped.chunks > 12) == (12, True)
    assert await house.catalog.collections() == []
    assert await house.stored() == set()
    assert await house.jobs().jobs() == []


async def test_a_job_can_be_forgotten(house: Any, asked: Asked) -> None:
    """What it ingested stays."""
    summary = await house.jobs().ingest("docs", asked, Call())

    await house.jobs().forget(summary.job)

    assert await house.jobs().jobs() == []
    assert (await house.catalog.collection("docs")).files == 12


async def test_file_names_that_are_no_text_are_ingested(house: Any, tmp_path: Path) -> None:
    """As a job that can be resumed; one that is not there is told of, as any other."""
    there, gone = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/caf\xe9.txt", b"/th\xe9.txt"))
    await asyncio.to_thread(Path(there).write_text, "A café serves coffee.")

    summary = await house.jobs().ingest("docs", Asked((there, gone)), Call())

    assert [(one.name, one.outcome) for one in summary.reports] == [
        ("caf\ufffd.txt", Outcome.NEW),
        ("th\ufffd.txt", Outcome.FAILED),
    ]
    again = await house.jobs().retry(summary.job, Call())
    assert [(one.name, "No such file" in one.reason) for one in again.reports] == [("th\ufffd.txt", True)]
    (job,) = await house.jobs().jobs()
    assert Asked.from_json(job.asked).paths == (there, gone)


async def test_a_dry_run_counts_the_tokens_of_files_that_are_compared_together(
    house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is lost: they are those of the texts that are bought afterwards."""
    for name in ("walrus", "otter"):
        (tmp_path / f"{name}.md").write_text(report(name))
    asked = Asked((str(tmp_path / "walrus.md"), str(tmp_path / "otter.md")))
    both, get = asyncio.Barrier(2), house.kept.get

    async def together(embedder: str, digests: Sequence[bytes]) -> Any:
        found = await get(embedder, digests)
        await both.wait()
        return found

    monkeypatch.setattr(house.kept, "get", together)
    planned = await house.jobs().plan("docs", asked)
    monkeypatch.undo()
    await house.jobs().ingest("docs", asked, Call())

    assert planned.tokens == sum(map(Chunking(size=60, overlap=10).count, house.provider.asked))
