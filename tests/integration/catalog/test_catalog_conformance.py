"""What every catalog promises, whatever it is made of."""

from collections.abc import Sequence
from typing import Any

import pytest

from rushhour.catalog.contract import Catalog, Chunk, File
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


async def test_unknown_collections_are_named_with_those_that_exist(catalog: Catalog) -> None:
    """Every question to an unknown collection raises, and helps."""
    await catalog.ensure_collection("known", "model")

    for asking in (
        catalog.collection("nope"),
        catalog.drop_collection("nope"),
        catalog.file("nope", "a.txt"),
        catalog.files("nope"),
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
    assert (collection.version, collection.files, collection.chunks) == (1, 1, 1)


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
