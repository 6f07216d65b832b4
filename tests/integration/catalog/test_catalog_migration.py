"""A catalog that an earlier release wrote opens, with all that was in it."""

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

from rushhour.catalog import schema
from rushhour.catalog.contract import File
from rushhour.catalog.job_contract import Job
from rushhour.catalog.sqlite import SqliteCatalog

FIRST_RELEASE = """
INSERT INTO collections (name, embedder, version, created, files, chunks) VALUES ('docs', 'model', 3, 1700000000, 1, 2);
INSERT INTO dropped VALUES ('old', 9);
INSERT INTO files (collection, name, fingerprint, title, source, bytes, chunks, updated)
    VALUES (1, 'a.txt', 'v1', 'A', 'a.txt', 10, 2, 1700000001);
INSERT INTO chunks (collection, file, id, position, page, start, "end", title, heading, source, metadata, text)
    VALUES (1, 1, 'docs/a.txt/x-0', 0, NULL, 0, 5, 'A', '', 'a.txt', '{}', 'walrus'),
           (1, 1, 'docs/a.txt/y-0', 1, 4, 6, 9, 'A', 'H', 'a.txt', '{"k": 1}', 'otter');
"""


def make(path: Path) -> None:
    """Write a file as the first release did: its tables, its marks, a collection with a document."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.SCHEMA.steps[0])
        connection.execute(f"PRAGMA application_id = {schema.SCHEMA.application}")
        connection.execute("PRAGMA user_version = 1")
        connection.executescript(FIRST_RELEASE)
        schema.create_words(connection, 1)
        schema.learn_words(connection, 1, 1, "A", "", "walrus")
        schema.learn_words(connection, 1, 2, "A", "H", "otter")
        connection.commit()


async def test_a_catalog_of_the_first_release_opens(tmp_path: Path) -> None:
    """Its documents are found as before; where they came from is not known, until they are ingested again."""
    make(tmp_path / "catalog.sqlite3")

    catalog = await SqliteCatalog.open(tmp_path / "catalog.sqlite3")
    try:
        (collection,) = await catalog.collections()
        assert (collection.name, collection.version, collection.files, collection.chunks) == ("docs", 3, 1, 2)
        assert (collection.created, collection.updated) == (1700000000, 1700000001)
        assert await catalog.files("docs") == [File("a.txt", "v1", "A", "a.txt", 10, 2, 1700000001)]
        assert [match.id for match in await catalog.lexical("docs", "otter", 5)] == ["docs/a.txt/y-0"]
        before = await catalog.chunks("docs", ["docs/a.txt/x-0", "docs/a.txt/y-0"])
        assert [(one.text, one.page) for one in before.values()] == [("walrus", None), ("otter", 4)]

        file = File("a.txt", "v2", "A", "a.txt", 10, root="folder:/a", content="digest")
        assert await catalog.publish("docs", file, list(before.values())[:1]) == {"docs/a.txt/y-0"}
        assert await catalog.garbage("docs") == {"a.txt": ["docs/a.txt/y-0"]}
        found = await catalog.file("docs", "a.txt")
        assert found is not None
        assert replace(found, updated=0) == replace(file, chunks=1)
        await catalog.create_job(Job("j1", "docs", "{}"))
        assert (await catalog.ensure_collection("old", "model")).version == 10
    finally:
        await catalog.aclose()


async def test_it_opens_the_second_time_too(tmp_path: Path) -> None:
    """A migration is done once."""
    make(tmp_path / "catalog.sqlite3")
    for _ in range(2):
        catalog = await SqliteCatalog.open(tmp_path / "catalog.sqlite3")
        assert [one.name for one in await catalog.collections()] == ["docs"]
        await catalog.aclose()
