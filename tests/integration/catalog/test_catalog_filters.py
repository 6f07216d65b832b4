"""Filters inside the catalog: the same chunks pass as the predicate on metadata lets through."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushhour.catalog.contract import Catalog, Chunk, File
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.errors import InvalidRequest, UnknownCollection
from rushhour.rag.retrieval.filters import Comparison, Compound, Filter, chunk_test, spelled

KEYS = ("file", "title", "source", "heading", "page", "lang", "größe", "with space", "a.b")
VALUES: tuple[Any, ...] = ("a.md", "Part", "en", "ü", "", "3", 0, 1, 3, 2.5, True, False)

METADATA: list[dict[str, Any]] = [
    {},
    {"lang": "en", "größe": 3, "with space": True},
    {"lang": "de", "größe": 2.5, "a.b": "ü", "page": 3},
    {"lang": 1, "größe": "3", "with space": False, "a.b": None},
    {"lang": True, "a.b": ["en"], "file": "b.md"},
]
CHUNKS = [
    Chunk(
        id=f"docs/{name}/{n}",
        file=name,
        position=n,
        text=f"harbour text number {n} of {name}",
        title="T" if n % 2 else "",
        heading="Part" if n % 3 else "",
        page=(None, 1, 3)[n % 3],
        source=name,
        metadata=about,
    )
    for name in ("a.md", "b.md")
    for n, about in enumerate(METADATA)
]

values = st.sampled_from(VALUES)
comparisons: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Comparison, st.sampled_from(["eq", "ne"]), st.sampled_from(KEYS), values),
    st.builds(
        Comparison,
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.sampled_from(KEYS),
        values.filter(lambda value: not isinstance(value, bool)),
    ),
    st.builds(
        Comparison,
        st.sampled_from(["in", "nin"]),
        st.sampled_from(KEYS),
        st.lists(values, min_size=1, max_size=3).map(tuple),
    ),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.builds(
        Compound, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=5,
)


async def filled(catalog: Catalog) -> None:
    """Publish two files of five chunks."""
    await catalog.ensure_collection("docs", "model")
    for name in ("a.md", "b.md"):
        chunks = [chunk for chunk in CHUNKS if chunk.file == name]
        await catalog.publish("docs", File(name, "v1", "T", name, 10), chunks)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(filters, min_size=20, max_size=20))
def test_sql_and_the_predicate_agree(tmp_path_factory: pytest.TempPathFactory, wanted: list[Filter]) -> None:
    """Whatever is compared with whatever: kinds, missing keys, negations, keys of any characters."""

    async def compare(folder: Path) -> None:
        catalog = await SqliteCatalog.open(folder / "catalog.sqlite3")
        try:
            await filled(catalog)
            for one in wanted:
                where, passing = spelled(one), {chunk.id for chunk in CHUNKS if chunk_test(one)(chunk)}
                found = await catalog.lexical("docs", "harbour text", 50, where)
                assert {hit.id for hit in found} == passing
                files = await catalog.files_with("docs", where, 50)
                assert set(files) == {chunk.file for chunk in CHUNKS if chunk.id in passing}
        finally:
            await catalog.aclose()

    asyncio.run(compare(tmp_path_factory.mktemp("catalog")))


async def test_a_filtered_search_finds_what_is_far_down(catalog: Catalog) -> None:
    """The best of what passes, not what passes of the best."""
    await filled(catalog)

    found = await catalog.lexical("docs", "harbour 0", 1, {"page": {"$gte": 3}})

    assert len(found) == 1
    chunk = next(chunk for chunk in CHUNKS if chunk.id == found[0].id)
    assert chunk.page == 3


async def test_files_are_counted_no_further_than_asked(catalog: Catalog) -> None:
    """The limit bounds the work."""
    await filled(catalog)

    assert len(await catalog.files_with("docs", {"page": {"$gte": 1}}, 1)) == 1
    assert await catalog.files_with("docs", {"lang": "fr"}, 5) == []


async def test_chunks_are_found_by_their_place(catalog: Catalog) -> None:
    """Only those that are there, and those of this collection."""
    await filled(catalog)
    await catalog.ensure_collection("other", "model")

    found = await catalog.at("docs", [("a.md", 2), ("a.md", 99), ("none", 0), ("b.md", 0)])

    assert [(chunk.file, chunk.position) for chunk in found] == [("a.md", 2), ("b.md", 0)]
    assert found[0] == CHUNKS[2]
    assert await catalog.at("other", [("a.md", 2)]) == []


@pytest.mark.parametrize(
    "where",
    [
        {"page": {"$exists": True}},
        {"$nor": [{"page": 1}]},
        {"page": {"$gt": True}},
        {"page": {"$gt": None}},
        {"page": {"$in": [1, None]}},
        {"page": None},
        {"page": {}},
    ],
)
async def test_an_unknown_comparison_is_refused(catalog: Catalog, where: dict[str, Any]) -> None:
    """Never ignored."""
    await filled(catalog)
    with pytest.raises(InvalidRequest, match="page"):
        await catalog.lexical("docs", "harbour", 5, where)


async def test_an_unknown_collection_is_named(catalog: Catalog) -> None:
    """By the new questions too."""
    with pytest.raises(UnknownCollection, match="nowhere"):
        await catalog.files_with("nowhere", {"page": 1}, 5)
    with pytest.raises(UnknownCollection, match="nowhere"):
        await catalog.at("nowhere", [("a.md", 0)])
