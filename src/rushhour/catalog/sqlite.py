"""The catalog in one SQLite file: nothing to start, safe for a server and an ingestion at once."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from rushhour.catalog import lexical, publication
from rushhour.catalog.contract import Chunk, Collection, File, LexicalMatch
from rushhour.catalog.publication import CHUNK_COLUMNS, FILE_COLUMNS
from rushhour.catalog.schema import SCHEMA, create_words, drop_words
from rushhour.clock import unix_now
from rushhour.errors import InvalidRequest, UnknownCollection
from rushhour.sqlite import SqliteFile

READERS: Final = 2
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_COLLECTION_COLUMNS: Final = "name, embedder, version, created, files, chunks"
_IDS_A_STATEMENT: Final = 500


class SqliteCatalog:
    """`Catalog` on SQLite with FTS5; open it with `SqliteCatalog.open`, close it with `aclose`.

    Every answer is read from the file, so what another process published is seen at once. Errors: those of the
    contract, and Unavailable if the disk fails or another process holds the file for long.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._frequencies = lexical.Frequencies()

    @classmethod
    async def open(cls, path: Path) -> SqliteCatalog:
        """Open or create the catalog at `path`; raises SettingsError if it cannot be, or is too new."""
        return cls(await SqliteFile.open(path, SCHEMA, READERS))

    async def collections(self) -> list[Collection]:
        """List all collections by name."""
        return await self._file.read(_collections)

    async def collection(self, name: str) -> Collection:
        """Return one; raises UnknownCollection, naming those that exist."""
        return await self._file.read(_collection, name)

    async def ensure_collection(self, name: str, embedder: str) -> Collection:
        """Create it, or return it; raises InvalidRequest for a bad name or another embedder than its own."""
        return await self._file.write(_ensure_collection, name, embedder)

    async def drop_collection(self, name: str) -> None:
        """Forget a collection with its files and chunks; raises UnknownCollection."""
        await self._file.write(_drop_collection, name)

    async def file(self, collection: str, name: str) -> File | None:
        """Return the visible version of a file; raises UnknownCollection."""
        return await self._file.read(_read_file, collection, name)

    async def files(self, collection: str) -> list[File]:
        """List the visible files by name; raises UnknownCollection."""
        return await self._file.read(_files, collection)

    async def chunk_ids(self, collection: str, file: str) -> set[str]:
        """Ids of a file's visible chunks, none for an unknown file; raises UnknownCollection."""
        return await self._file.read(_chunk_ids, collection, file)

    async def publish(self, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
        """Make this version the visible one, in one transaction; return the ids that became stale.

        `file.chunks` and `file.updated` are counted and stamped here. The same version again changes nothing.
        """
        return await self._file.write(_publish, collection, file, chunks)

    async def remove(self, collection: str, file: str) -> set[str]:
        """Make a file invisible; return its ids, now stale; none for an unknown file."""
        return await self._file.write(_remove, collection, file)

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones among these chunks, in the order asked; stale ids are simply absent."""
        return await self._file.read(_chunks, collection, ids)

    async def lexical(self, collection: str, query: str, top_k: int) -> list[LexicalMatch]:
        """BM25 over the visible chunks, best first; any text is a valid query."""
        return await self._file.read(_lexical, collection, query, top_k, self._frequencies)

    async def aclose(self) -> None:
        """Finish writes and release the file."""
        await self._file.aclose()


def _collections(connection: sqlite3.Connection) -> list[Collection]:
    rows = connection.execute(f"SELECT {_COLLECTION_COLUMNS} FROM collections ORDER BY name")  # noqa: S608  # constants
    return [Collection(*row) for row in rows]


def _find(connection: sqlite3.Connection, name: str) -> Collection | None:
    row = connection.execute(
        f"SELECT {_COLLECTION_COLUMNS} FROM collections WHERE name = ?",  # noqa: S608  # constants
        (name,),
    ).fetchone()
    return Collection(*row) if row else None


def _unknown(connection: sqlite3.Connection, name: str) -> UnknownCollection:
    names = [collection.name for collection in _collections(connection)]
    known = f"Those that exist: {', '.join(names)}." if names else "None exists yet: `rushhour ingest` makes one."
    return UnknownCollection(f"There is no collection {name!r}. {known}", param="model")


def _collection(connection: sqlite3.Connection, name: str) -> Collection:
    found = _find(connection, name)
    if found is None:
        raise _unknown(connection, name)
    return found


def _key(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT key FROM collections WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _unknown(connection, name)
    return int(row[0])


def _ensure_collection(connection: sqlite3.Connection, name: str, embedder: str) -> Collection:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot name a collection: use 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "the first a letter or digit.",
            param="collection",
        )
    found = _find(connection, name)
    if found is None:
        connection.execute(
            "INSERT INTO collections (name, embedder, version, created) "
            "VALUES (?, ?, coalesce((SELECT version + 1 FROM dropped WHERE name = ?), 0), ?)",
            (name, embedder, name, unix_now()),
        )
        create_words(connection, _key(connection, name))
        return _collection(connection, name)
    if found.embedder != embedder:
        raise InvalidRequest(
            f"The collection {name!r} was embedded with {found.embedder!r}, and vectors of {embedder!r} do not "
            "compare with those. Choose that embedder again (RUSHHOUR_EMBED__…), or another collection.",
            param="collection",
        )
    return found


def _drop_collection(connection: sqlite3.Connection, name: str) -> None:
    key = _key(connection, name)
    drop_words(connection, key)
    connection.execute("INSERT OR REPLACE INTO dropped SELECT name, version FROM collections WHERE key = ?", (key,))
    connection.execute("DELETE FROM chunks WHERE collection = ?", (key,))
    connection.execute("DELETE FROM files WHERE collection = ?", (key,))
    connection.execute("DELETE FROM collections WHERE key = ?", (key,))


def _read_file(connection: sqlite3.Connection, collection: str, name: str) -> File | None:
    row = connection.execute(
        f"SELECT {FILE_COLUMNS} FROM files WHERE collection = ? AND name = ?",  # noqa: S608  # constants
        (_key(connection, collection), name),
    ).fetchone()
    return File(*row) if row else None


def _files(connection: sqlite3.Connection, collection: str) -> list[File]:
    rows = connection.execute(
        f"SELECT {FILE_COLUMNS} FROM files WHERE collection = ? ORDER BY name",  # noqa: S608  # constants
        (_key(connection, collection),),
    )
    return [File(*row) for row in rows]


def _chunk_ids(connection: sqlite3.Connection, collection: str, file: str) -> set[str]:
    rows = connection.execute(
        "SELECT chunks.id FROM chunks JOIN files ON files.key = chunks.file "
        "WHERE files.collection = ? AND files.name = ?",
        (_key(connection, collection), file),
    )
    return {row[0] for row in rows}


def _publish(connection: sqlite3.Connection, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
    return publication.publish(connection, _key(connection, collection), file, chunks, unix_now())


def _remove(connection: sqlite3.Connection, collection: str, file: str) -> set[str]:
    return publication.remove(connection, _key(connection, collection), file)


def _chunks(connection: sqlite3.Connection, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
    key = _key(connection, collection)
    found: dict[str, Chunk] = {}
    for first in range(0, len(ids), _IDS_A_STATEMENT):
        some = ids[first : first + _IDS_A_STATEMENT]
        columns = ", ".join(f"chunks.{column}" for column in CHUNK_COLUMNS.split(", "))
        rows = connection.execute(  # one JSON text, for the reason that `lexical` gives
            f"SELECT json_group_array(json_array(files.name, {columns})) "  # noqa: S608  # constants
            "FROM chunks JOIN files ON files.key = chunks.file "
            f"WHERE chunks.collection = ? AND chunks.id IN ({', '.join('?' * len(some))})",
            (key, *some),
        ).fetchone()[0]
        found.update((row[1], publication.chunk_of(row[0], row[1:])) for row in msgspec.json.decode(rows))
    return {name: found[name] for name in ids if name in found}


def _lexical(
    connection: sqlite3.Connection, collection: str, query: str, top_k: int, frequencies: lexical.Frequencies
) -> list[LexicalMatch]:
    row = connection.execute("SELECT key, version, chunks FROM collections WHERE name = ?", (collection,)).fetchone()
    if row is None:
        raise _unknown(connection, collection)
    key, version, chunks = row
    return lexical.search(connection, key, chunks, query, top_k, frequencies.at(key, version))
