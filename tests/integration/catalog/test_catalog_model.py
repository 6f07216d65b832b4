"""Whatever is published and removed, in whatever order, a catalog agrees with a dictionary."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.catalog.contract import Chunk, File
from rushhour.catalog.sqlite import SqliteCatalog

WORDS = ("walrus", "otter", "puffin", "heron")

versions = st.dictionaries(st.integers(0, 5), st.sampled_from(WORDS), max_size=4)
steps = st.lists(
    st.tuples(st.sampled_from(("a", "b/c", "ü")), st.none() | st.tuples(st.integers(0, 2), versions)), max_size=12
)


def chunks_of(file: str, version: dict[int, str]) -> list[Chunk]:
    """Give chunks ids that depend on their text, as the chunker does."""
    return [Chunk(f"{file}/{n}{word}", file, n, word) for n, word in version.items()]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_catalog_agrees_with_a_dictionary(steps: list[tuple[str, tuple[int, dict[int, str]] | None]]) -> None:
    """Stale ids, visible chunks, counts, words and versions follow from the sequence of publications alone."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), steps))


async def play(folder: Path, steps: list[tuple[str, tuple[int, dict[int, str]] | None]]) -> None:
    """Do the same to a catalog and to a dictionary, and compare all the way."""
    catalog = await SqliteCatalog.open(folder / "catalog.sqlite3")
    try:
        await catalog.ensure_collection("docs", "model")
        model: dict[str, tuple[int, dict[int, str]]] = {}
        version = 0
        for file, wanted in steps:
            before = {one.id for one in chunks_of(file, model[file][1])} if file in model else set()
            changes = model.get(file) != wanted
            if wanted is None:
                stale = await catalog.remove("docs", file)
                model.pop(file, None)
                after: set[str] = set()
            else:
                chunks = chunks_of(file, wanted[1])
                stale = await catalog.publish("docs", File(file, str(wanted[0]), file, "", 0), chunks)
                model[file] = wanted
                after = {one.id for one in chunks}
            version += changes
            assert stale == before - after
            assert await catalog.chunk_ids("docs", file) == after
            assert (await catalog.collection("docs")).version == version
        await compare(catalog, model)
    finally:
        await catalog.aclose()


async def compare(catalog: SqliteCatalog, model: dict[str, tuple[int, dict[int, str]]]) -> None:
    """Compare everything that is visible."""
    visible = [one for file, (_, version) in model.items() for one in chunks_of(file, version)]
    collection = await catalog.collection("docs")
    assert (collection.files, collection.chunks) == (len(model), len(visible))
    assert {one.name: int(one.fingerprint) for one in await catalog.files("docs")} == {
        name: fingerprint for name, (fingerprint, _) in model.items()
    }
    assert await catalog.chunks("docs", [one.id for one in visible]) == {one.id: one for one in visible}
    for word in WORDS:
        found = {match.id for match in await catalog.lexical("docs", word, 100)}
        assert found == {one.id for one in visible if one.text == word}
