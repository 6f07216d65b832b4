"""What every catalog promises, whatever it is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rushhour.catalog.contract import Catalog, Chunk, File
from rushhour.catalog.job_contract import FileState, Job, JobFile, JobState
from rushhour.errors import InvalidRequest, UnknownCollection


def file(name: str = "a.txt", fingerprint: str = "v1", **more: Any) -> File:
    """Make a file."""
    return File(name, fingerprint, more.get("title", name), more.get("source", name), 10)


def chunk(ident: str, text: str = "some text", file: str = "a.txt", **more: Any) -> Chunk:
    """Make a chunk."""
    return Chunk(id=ident, file=file, position=more.pop("position", 0), text=text, **more)


def ids(matches: Sequence[Any]) -> list[str]:
    """Return the ids of hits."""
    return [match.id for match in matches]


async def test_collections_are_listed_by_name(catalog: Catalog) -> None:
    """The order does not depend on when they were made."""
    await catalog.ensure_collection("b", "model")
    await catalog.ensure_collection("a", "model")

    assert [one.name for one in await catalog.collections()] == ["a", "b"]


async def test_a_new_collection_is_empty(catalog: Catalog) -> None:
    """It starts without files, and knows its embedder and when it was made."""
    made = await catalog.ensure_collection("docs", "model")

    assert (made.version, made.files, made.chunks, made.embedder) == (0, 0, 0, "model")
    assert made.created > 1_600_000_000
    assert made.updated == made.created
    assert await catalog.collection("docs") == made


async def test_ensuring_twice_is_the_same(catalog: Catalog) -> None:
    """The second time returns what is there."""
    first = await catalog.ensure_collection("docs", "model")

    assert await catalog.ensure_collection("docs", "model") == first


async def test_another_embedder_is_refused(catalog: Catalog) -> None:
    """Vectors of two models do not compare, so they may not meet in one collection."""
    await catalog.ensure_collection("docs", "small")

    with pytest.raises(InvalidRequest, match=r"'small'.*'large'"):
        await catalog.ensure_collection("docs", "large")


@pytest.mark.parametrize("name", ["", "-a", ".a", "A", "a b", "a/b", "ä", "a" * 64, "a\n"])
async def test_bad_names_are_refused(catalog: Catalog, name: str) -> None:
    """A name must be fit for URLs, files and namespaces alike."""
    with pytest.raises(InvalidRequest, match="cannot name a collection"):
        await catalog.ensure_collection(name, "model")


@pytest.mark.parametrize("name", ["a", "0", "python-manual", "v1.2_x", "a" * 63])
async def test_good_names_are_taken(catalog: Catalog, name: str) -> None:
    """Letters, digits, dots, underscores and hyphens, up to 63."""
    assert (await catalog.ensure_collection(name, "model")).name == name


@pytest.mark.parametrize("name", ["bad\udcff", "", "With space"])
async def test_a_name_that_nothing_can_have_is_unknown(catalog: Catalog, name: str) -> None:
    """Even one that cannot be asked for: a shell hands over bytes that are no text."""
    for asking in (catalog.collection(name), catalog.files(name)):
        with pytest.raises(UnknownCollection):
            await asking


async def test_unknown_collections_are_named_with_those_that_exist(catalog: Catalog) -> None:
    """Every question to an unknown collection raises, and helps."""
    await catalog.ensure_collection("known", "model")

    for asking in (
        catalog.collection("nope"),
        catalog.drop_collection("nope"),
        catalog.file("nope", "a.txt"),
        catalog.files("nope"),
        catalog.compare("nope", ["a.txt"], frozenset()),
        catalog.chunk_ids("nope", "a.txt"),
        catalog.publish("nope", file(), []),
        catalog.remove("nope", "a.txt"),
        catalog.chunks("nope", ["x"]),
        catalog.lexical("nope", "text", 5),
    ):
        with pytest.raises(UnknownCollection, match=r"'nope'.*known"):
            await asking


async def test_publishing_makes_a_file_visible(catalog: Catalog) -> None:
    """The file, its chunks and its words are there together."""
    await catalog.ensure_collection("docs", "model")
    one = chunk("1", "walrus", title="T", heading="H > I", page=3, start=5, end=11, source="s", metadata={"k": [1]})

    assert await catalog.publish("docs", file(), [one]) == set()

    assert await catalog.chunks("docs", ["1"]) == {"1": one}
    assert await catalog.chunk_ids("docs", "a.txt") == {"1"}
    assert ids(await catalog.lexical("docs", "walrus", 5)) == ["1"]
    found = await catalog.file("docs", "a.txt")
    assert found is not None
    assert (found.fingerprint, found.chunks, found.bytes) == ("v1", 1, 10)
    assert found.updated > 1_600_000_000
    assert await catalog.files("docs") == [found]
    collection = await catalog.collection("docs")
    assert (collection.version, collection.files, collection.chunks, collection.updated) == (1, 1, 1, found.updated)
    assert await catalog.collections() == [collection]


async def test_publishing_the_same_again_changes_nothing(catalog: Catalog) -> None:
    """Neither the version of the collection nor the time of the file moves."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1"), chunk("2", position=1)])
    before = await catalog.collection("docs"), await catalog.files("docs")

    assert await catalog.publish("docs", file(), [chunk("1"), chunk("2", position=1)]) == set()

    assert (await catalog.collection("docs"), await catalog.files("docs")) == before


async def test_a_new_version_makes_the_old_chunks_stale(catalog: Catalog) -> None:
    """Stale ids are returned, and found by neither id nor word."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1", "walrus"), chunk("2", "otter")])

    stale = await catalog.publish("docs", file(fingerprint="v2"), [chunk("2", "otter"), chunk("3", "puffin")])

    assert stale == {"1"}
    assert set(await catalog.chunks("docs", ["1", "2", "3"])) == {"2", "3"}
    assert await catalog.lexical("docs", "walrus", 5) == []
    assert ids(await catalog.lexical("docs", "otter", 5)) == ["2"]
    assert (await catalog.collection("docs")).version == 2


async def test_a_chunk_that_only_moved_keeps_its_id_and_takes_its_new_place(catalog: Catalog) -> None:
    """Position, heading and offsets follow the new version."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1", "walrus", heading="Old")])
    moved = chunk("1", "walrus", heading="New", position=4, start=70, end=76)

    assert await catalog.publish("docs", file(fingerprint="v2"), [moved]) == set()

    assert await catalog.chunks("docs", ["1"]) == {"1": moved}
    assert await catalog.lexical("docs", "old", 5) == []
    assert ids(await catalog.lexical("docs", "new", 5)) == ["1"]


async def test_removing_a_file_returns_its_chunks(catalog: Catalog) -> None:
    """Removing it again, or one that never was, returns none and changes no version."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1", "walrus")])

    assert await catalog.remove("docs", "a.txt") == {"1"}
    assert await catalog.remove("docs", "a.txt") == set()

    collection = await catalog.collection("docs")
    assert (collection.version, collection.files, collection.chunks) == (2, 0, 0)
    assert await catalog.file("docs", "a.txt") is None
    assert await catalog.lexical("docs", "walrus", 5) == []


async def test_what_was_listed_is_compared_with_what_is_visible(catalog: Catalog) -> None:
    """Missing is what is visible of these roots and has none of the names; repeated is a name that came before."""
    await catalog.ensure_collection("docs", "model")
    await catalog.ensure_collection("zoo", "model")
    for name, root in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "")):
        await catalog.publish("docs", replace(file(name), root=root), [])
    await catalog.publish("zoo", replace(file("f"), root="x"), [])

    compared = await catalog.compare("docs", iter(["b", "new", "b", "new"]), frozenset("xy"))

    assert compared.repeated == {2, 3}
    assert [one.name for one in compared.missing] == ["a", "c"]
    assert compared.missing[0] == await catalog.file("docs", "a")
    nothing = await catalog.compare("docs", ["a"], frozenset())
    assert (nothing.repeated, nothing.missing) == (frozenset(), ())


async def test_a_listing_that_breaks_off_leaves_nothing_behind(catalog: Catalog) -> None:
    """The next comparison starts anew."""
    await catalog.ensure_collection("docs", "model")

    def broken() -> Iterator[str]:
        yield "a"
        raise OSError("The disk is gone.")

    with pytest.raises(OSError, match="disk is gone"):
        await catalog.compare("docs", broken(), frozenset())

    assert (await catalog.compare("docs", ["a"], frozenset())).repeated == frozenset()


async def test_a_dropped_collection_is_gone_and_its_versions_never_return(catalog: Catalog) -> None:
    """An answer cached for a version of the old one cannot be served for the new one."""
    await catalog.ensure_collection("docs", "small")
    await catalog.publish("docs", file(), [chunk("1", "walrus")])
    await catalog.drop_collection("docs")

    with pytest.raises(UnknownCollection):
        await catalog.collection("docs")
    again = await catalog.ensure_collection("docs", "large")

    assert (again.files, again.chunks, again.embedder) == (0, 0, "large")
    assert again.version > 1
    assert await catalog.chunks("docs", ["1"]) == {}
    assert await catalog.lexical("docs", "walrus", 5) == []


async def test_an_id_may_occur_once_only(catalog: Catalog) -> None:
    """A broken publication is refused whole: what was visible stays."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1")])
    before = await catalog.collection("docs")

    with pytest.raises(InvalidRequest, match="'2' occurs twice"):
        await catalog.publish("docs", file(fingerprint="v2"), [chunk("2"), chunk("2")])
    with pytest.raises(InvalidRequest, match=r"'1' of 'b\.txt' belongs to another file"):
        await catalog.publish("docs", file("b.txt"), [chunk("9", file="b.txt"), chunk("1", file="b.txt")])

    assert await catalog.collection("docs") == before
    assert await catalog.chunk_ids("docs", "b.txt") == set()


async def test_many_chunks_are_read_in_the_order_asked(catalog: Catalog) -> None:
    """Unknown ids are simply absent."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk(str(n), position=n) for n in range(1200)])
    asked = [str(n) for n in range(1300, -1, -1)]

    assert list(await catalog.chunks("docs", asked)) == [str(n) for n in range(1199, -1, -1)]
    assert await catalog.chunks("docs", []) == {}


async def test_lexical_finds_inflected_words_in_title_heading_and_text(catalog: Catalog) -> None:
    """Porter stemming; the best match comes first, higher scores are better."""
    await catalog.ensure_collection("docs", "model")
    chunks = [
        chunk("text", "The connections were closed.", position=0),
        chunk("heading", "Nothing.", heading="Connecting", position=1),
        chunk("title", "Nothing.", title="Connect", position=2),
        *(chunk(f"other{n}", "Something else entirely.", position=3 + n) for n in range(9)),
    ]
    await catalog.publish("docs", file(), chunks)

    matches = await catalog.lexical("docs", "How do I connect?", 10)

    assert set(ids(matches)) == {"text", "heading", "title"}
    assert all(match.score > 0 for match in matches)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert len(await catalog.lexical("docs", "connect", 2)) == 2


async def test_rarity_is_the_collections_own(catalog: Catalog) -> None:
    """What another collection holds does not move a score."""
    await catalog.ensure_collection("docs", "model")
    texts = ["walrus and otter", "otter", "puffin", "heron", "stork"]
    await catalog.publish("docs", file(), [chunk(str(n), text, position=n) for n, text in enumerate(texts)])
    before = await catalog.lexical("docs", "walrus otter", 5)
    await catalog.ensure_collection("zoo", "model")
    await catalog.publish("zoo", file(), [chunk(f"z{n}", "walrus", position=n) for n in range(50)])

    assert await catalog.lexical("docs", "walrus otter", 5) == before


@pytest.mark.parametrize(
    "query",
    [
        "", " ", "?!", '"', "'", "a AND", "NOT", "OR", "NEAR(", "title:walrus", "walrus*", "^walrus", "(walrus",
        "-walrus", "walrus\0", "{walrus}", "what is the", "naïve", "日本語", "🦭", "walrus " * 500,
        "--; DROP TABLE chunks",
    ],
)  # fmt: skip
async def test_any_text_is_a_valid_query(catalog: Catalog, query: str) -> None:
    """Nothing a person types is an error, and none of it is taken for a query language."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk("1", "walrus, what is the"), chunk("2", "otter", position=1)])

    found = ids(await catalog.lexical("docs", query, 5))

    assert found == (["1"] if "walrus" in query or query == "what is the" else [])


async def test_a_file_remembers_where_it_was_found(catalog: Catalog) -> None:
    """Its root and the digest of its bytes; noting others for an unchanged file makes no new version."""
    await catalog.ensure_collection("docs", "model")
    found = File("a.txt", "v1", "a", "a", 10, root="folder:/a", content="digest")
    await catalog.publish("docs", found, [chunk("1")])
    before = await catalog.collection("docs")

    await catalog.adopt("docs", "a.txt", "folder:/b", "other")

    after = await catalog.file("docs", "a.txt")
    assert after is not None
    assert (after.root, after.content, after.fingerprint) == ("folder:/b", "other", "v1")
    assert await catalog.collection("docs") == before


async def test_garbage_is_what_no_visible_chunk_owns(catalog: Catalog) -> None:
    """Noted before it is written, cleared by publication; stale and removed chunks become it."""
    await catalog.ensure_collection("docs", "model")
    await catalog.note_garbage("docs", "a.txt", ["1", "2", "3"])
    assert await catalog.garbage("docs") == {"a.txt": ["1", "2", "3"]}

    await catalog.publish("docs", file(), [chunk("1"), chunk("2", position=1)])
    assert await catalog.garbage("docs") == {"a.txt": ["3"]}

    await catalog.publish("docs", file(fingerprint="v2"), [chunk("2"), chunk("4", position=1)])
    assert await catalog.garbage("docs", "a.txt") == {"a.txt": ["1", "3"]}
    assert await catalog.garbage("docs", "b.txt") == {}

    await catalog.release("docs", "a.txt", "nobody", ["1", "3"])
    assert await catalog.garbage("docs") == {}

    await catalog.remove("docs", "a.txt")
    assert await catalog.garbage("docs") == {"a.txt": ["2", "4"]}


async def test_what_is_visible_is_no_garbage(catalog: Catalog) -> None:
    """Writing a vector again does not make its chunk an orphan; being published elsewhere is another collection's."""
    await catalog.ensure_collection("docs", "model")
    await catalog.ensure_collection("zoo", "model")
    await catalog.publish("docs", file(), [chunk("1")])

    await catalog.note_garbage("docs", "a.txt", ["1", "2"])
    await catalog.note_garbage("zoo", "a.txt", ["1"])

    assert await catalog.garbage("docs") == {"a.txt": ["2"]}
    assert await catalog.garbage("zoo") == {"a.txt": ["1"]}


async def test_a_file_is_claimed_by_one_at_a_time(catalog: Catalog) -> None:
    """Whoever comes second is told who was first; only the owner gives up a claim, only a dead one loses it."""
    await catalog.ensure_collection("docs", "model")

    assert await catalog.claim("docs", "a.txt", "me") == "me"
    assert await catalog.claim("docs", "a.txt", "me") == "me"
    assert await catalog.claim("docs", "a.txt", "you") == "me"
    assert await catalog.claim("docs", "b.txt", "you") == "you"
    assert await catalog.claim("docs", "a.txt", "you", dead="somebody") == "me"
    await catalog.release("docs", "a.txt", "you")
    assert await catalog.claim("docs", "a.txt", "you") == "me"
    assert await catalog.claim("docs", "a.txt", "you", dead="me") == "you"
    await catalog.release("docs", "a.txt", "you")
    assert await catalog.claim("docs", "a.txt", "me") == "me"


async def test_chunks_are_read_page_by_page(catalog: Catalog) -> None:
    """By id, from the one after the last; each once, whole."""
    await catalog.ensure_collection("docs", "model")
    some = [chunk(f"a{n}", position=n, heading="H", page=n, metadata={"n": n}) for n in range(5)]
    await catalog.publish("docs", file(), some)
    await catalog.publish("docs", file("b.txt"), [chunk("b0", file="b.txt")])

    assert await catalog.page("docs", limit=3) == some[:3]
    assert [one.id for one in await catalog.page("docs", "a2")] == ["a3", "a4", "b0"]
    assert await catalog.page("docs", "b0") == []


async def test_a_rebuilt_index_finds_the_same(catalog: Catalog) -> None:
    """In a new version, since nobody knows what the old index had answered."""
    await catalog.ensure_collection("docs", "model")
    await catalog.publish("docs", file(), [chunk(str(n), f"walrus {n}", title="T", position=n) for n in range(9)])
    await catalog.publish("docs", file(fingerprint="v2"), [chunk("1", "walrus 1"), chunk("x", "otter", position=1)])
    before = [await catalog.lexical("docs", word, 9) for word in ("walrus", "otter", "T")]
    version = (await catalog.collection("docs")).version

    assert await catalog.rebuild_lexical("docs") == 2

    assert [await catalog.lexical("docs", word, 9) for word in ("walrus", "otter", "T")] == before
    assert (await catalog.collection("docs")).version == version + 1
    assert await catalog.remove("docs", "a.txt") == {"1", "x"}
    assert await catalog.lexical("docs", "otter", 9) == []


async def test_garbage_and_claims_go_with_their_collection(catalog: Catalog) -> None:
    """One of the same name has none; jobs are another matter."""
    await catalog.ensure_collection("docs", "model")
    await catalog.note_garbage("docs", "a.txt", ["1"])
    await catalog.claim("docs", "a.txt", "me")
    await catalog.create_job(Job("j1", "docs", "{}"))
    await catalog.drop_collection("docs")
    await catalog.ensure_collection("docs", "model")

    assert await catalog.garbage("docs") == {}
    assert await catalog.claim("docs", "a.txt", "you") == "you"
    assert [job.id for job in await catalog.jobs()] == ["j1"]


async def test_questions_about_garbage_of_unknown_collections_are_refused(catalog: Catalog) -> None:
    """As all others are."""
    for asking in (
        catalog.adopt("nope", "a.txt", "", ""),
        catalog.claim("nope", "a.txt", "me"),
        catalog.release("nope", "a.txt", "me"),
        catalog.note_garbage("nope", "a.txt", ["1"]),
        catalog.garbage("nope"),
        catalog.page("nope"),
        catalog.rebuild_lexical("nope"),
    ):
        with pytest.raises(UnknownCollection, match="'nope'"):
            await asking


async def test_jobs_are_listed_the_newest_first(catalog: Catalog) -> None:
    """All, or those of a collection, which need not exist yet."""
    for name, collection in (("j1", "docs"), ("j2", "zoo"), ("j3", "docs")):
        await catalog.create_job(Job(name, collection, '{"paths":[]}'))

    assert ids(await catalog.jobs()) == ["j3", "j2", "j1"]
    assert ids(await catalog.jobs("docs")) == ["j3", "j1"]
    job = await catalog.job("j1")
    assert (job.state, job.asked, job.began, job.ended, job.files) == (JobState.QUEUED, '{"paths":[]}', 0, 0, 0)
    assert job.created > 1_600_000_000
    with pytest.raises(InvalidRequest, match="There is a job 'j1' already"):
        await catalog.create_job(Job("j1", "docs", "{}"))


async def test_unknown_jobs_are_refused(catalog: Catalog) -> None:
    """The message names the command that lists them; forgetting one is no error."""
    for asking in (
        catalog.job("nope"),
        catalog.set_job("nope", JobState.DONE),
        catalog.note_job_files("nope", [JobFile("a.txt")]),
        catalog.list_job_files("nope", ["a.txt"]),
    ):
        with pytest.raises(InvalidRequest, match=r"no job 'nope'.*rushhour jobs"):
            await asking
    await catalog.drop_job("nope")
    assert await catalog.job_files("nope") == []


async def test_a_job_counts_its_files(catalog: Catalog) -> None:
    """Rows are overwritten by name, and counted by state."""
    await catalog.create_job(Job("j1", "docs", "{}"))
    await catalog.list_job_files("j1", ["a", "b", "c", "d", "a"])
    done = JobFile("a", FileState.DONE, "new", "", 1, chunks=5, embedded=3, kept=2, deleted=1)
    failed = JobFile("b", FileState.FAILED, "failed", "Down.", 2)
    parked = JobFile("c", FileState.PARKED, "failed", "Rude.", 1)

    await catalog.note_job_files("j1", [done, failed, parked])

    job = await catalog.job("j1")
    assert (job.files, job.waiting, job.done, job.failed, job.parked) == (4, 1, 1, 1, 1)
    assert (job.chunks, job.embedded) == (5, 3)
    assert await catalog.job_files("j1") == [done, failed, parked, JobFile("d")]
    assert await catalog.job_files("j1", FileState.PARKED, FileState.DONE) == [done, parked]


async def test_listing_files_anew_keeps_what_is_known(catalog: Catalog) -> None:
    """New ones wait, and those that are gone are forgotten."""
    await catalog.create_job(Job("j1", "docs", "{}"))
    await catalog.list_job_files("j1", ["a", "b"])
    await catalog.note_job_files("j1", [JobFile("a", FileState.DONE, "new")])

    await catalog.list_job_files("j1", ["a", "c"])

    assert [(one.name, one.state) for one in await catalog.job_files("j1")] == [("a", "done"), ("c", "waiting")]
    assert (await catalog.job("j1")).files == 2


async def test_one_of_a_jobs_files_is_found_by_its_name(catalog: Catalog) -> None:
    """None, if there is no such job or file."""
    await catalog.create_job(Job("j1", "docs", "{}"))
    done = JobFile("a", FileState.DONE, "new", "", 1, chunks=5, embedded=3, kept=2, deleted=1)
    await catalog.note_job_files("j1", [done])

    assert [await catalog.job_file(*of) for of in (("j1", "a"), ("j1", "b"), ("j2", "a"))] == [done, None, None]


async def test_a_job_is_stamped_as_it_moves(catalog: Catalog) -> None:
    """It begins when it runs, and ends when it is done, given up or stopped; a resumed one has no end."""
    await catalog.create_job(Job("j1", "docs", "{}"))

    running = await catalog.set_job("j1", JobState.RUNNING)
    assert running.began > 1_600_000_000
    assert running.ended == 0
    failed = await catalog.set_job("j1", JobState.FAILED, "No money.")
    assert (failed.state, failed.reason, failed.ended >= failed.began) == (JobState.FAILED, "No money.", True)
    again = await catalog.set_job("j1", JobState.RUNNING)
    assert (again.reason, again.ended) == ("", 0)
    await catalog.spend("j1", 100, 0.5)
    await catalog.spend("j1", 20, 0.25)
    assert ((await catalog.job("j1")).tokens, (await catalog.job("j1")).cost_usd) == (120, 0.75)


async def test_of_older_jobs_only_what_matters_is_kept(catalog: Catalog) -> None:
    """When one is done, the rows of the collection's older done ones go, but for what is parked; their counts stay."""
    for name in ("j1", "j2", "j3"):
        await catalog.create_job(Job(name, "zoo" if name == "j2" else "docs", "{}"))
        rows = [JobFile("a", FileState.DONE, "new"), JobFile("b", FileState.PARKED, "failed", "Rude.")]
        await catalog.note_job_files(name, rows)
        await catalog.set_job(name, JobState.DONE)

    assert {name: len(await catalog.job_files(name)) for name in ("j1", "j2", "j3")} == {"j1": 1, "j2": 2, "j3": 2}
    first = await catalog.job("j1")
    assert (first.done, first.parked) == (1, 1)


async def test_of_jobs_that_ended_the_latest_hundred_are_kept(catalog: Catalog) -> None:
    """However they ended; whoever waits or runs is none of them."""
    ends = (JobState.FAILED, JobState.INTERRUPTED, JobState.DONE)
    for n in range(105):
        await catalog.create_job(Job(f"j{n}", "docs", "{}"))
        if n not in (0, 1):
            await catalog.set_job(f"j{n}", ends[n % 3])
    await catalog.set_job("j1", JobState.RUNNING)

    await catalog.create_job(Job("last", "docs", "{}"))
    await catalog.set_job("last", JobState.DONE)

    assert ids(await catalog.jobs()) == ["last", *(f"j{n}" for n in range(104, 5, -1)), "j1", "j0"]


async def test_checking_a_collection_makes_none(catalog: Catalog) -> None:
    """It refuses what ensuring refuses."""
    assert await catalog.check_collection("docs", "small") is None
    assert await catalog.collections() == []
    made = await catalog.ensure_collection("docs", "small")

    assert await catalog.check_collection("docs", "small") == made
    for name, embedder in (("No Name", "small"), ("caf\udce9", "small"), ("docs", "large")):
        with pytest.raises(InvalidRequest):
            await catalog.check_collection(name, embedder)


async def test_a_done_jobs_claims_are_given_up(catalog: Catalog) -> None:
    """Whatever it left behind when its process was killed."""
    await catalog.ensure_collection("docs", "model")
    await catalog.create_job(Job("j1", "docs", "{}"))
    await catalog.claim("docs", "a.txt", "j1")

    await catalog.set_job("j1", JobState.DONE)

    assert await catalog.claim("docs", "a.txt", "j2") == "j2"
