"""The catalog in one SQLite file: nothing to start, safe for a server and an ingestion at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

import msgspec

from rushhour.catalog import collection_rows, garbage, index_rows, lexical, listed, places, publication
from rushhour.catalog.collection_rows import key_of, unknown
from rushhour.catalog.contract import Chunk, Collection, Compared, File, LexicalMatch
from rushhour.catalog.publication import CHUNK_COLUMNS, FILE_COLUMNS
from rushhour.catalog.schema import SCHEMA
from rushhour.catalog.sqlite_jobs import SqliteJobs
from rushhour.clock import unix_now
from rushhour.sqlite import SqliteFile

READERS: Final = 2
_IDS_A_STATEMENT: Final = 500


class SqliteCatalog(SqliteJobs):
    """`Catalog` on SQLite with FTS5; open it with `SqliteCatalog.open`, close it with `aclose`.

    Every answer is read from the file, so what another process published is seen at once. Errors: those of the
    contract, and Unavailable if the disk fails or another process holds the file for long.
    """

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self._frequencies = lexical.Frequencies()

    @classmethod
    async def open(cls, path: Path) -> SqliteCatalog:
        """Open or create the catalog at `path`; raises SettingsError if it cannot be, or is too new."""
        return cls(await SqliteFile.open(path, SCHEMA, READERS))

    async def collections(self) -> list[Collection]:
        """List all collections by name."""
        return await self._file.read(collection_rows.every)

    async def collection(self, name: str) -> Collection:
        """Return one; raises UnknownCollection, naming those that exist."""
        return await self._file.read(collection_rows.one, name)

    async def check_collection(self, name: str, embedder: str) -> Collection | None:
        """Return what `ensure_collection` would, or None for a new one; raises as that does, and writes nothing."""
        return await self._file.read(collection_rows.check, name, embedder)

    async def ensure_collection(self, name: str, embedder: str) -> Collection:
        """Create it, or return it; raises InvalidRequest for a bad name or another embedder than its own."""
        return await self._file.write(collection_rows.ensure, name, embedder)

    async def drop_collection(self, name: str) -> None:
        """Forget a collection with its files, chunks, garbage and claims, not its jobs; raises UnknownCollection."""
        await self._file.write(collection_rows.drop, name)

    async def file(self, collection: str, name: str) -> File | None:
        """Return the visible version of a file; raises UnknownCollection."""
        return await self._file.read(_read_file, collection, name)

    async def files(self, collection: str) -> list[File]:
        """List the visible files by name; raises UnknownCollection."""
        return await self._file.read(_files, collection)

    async def compare(self, collection: str, names: Iterable[str], roots: Set[str]) -> Compared:
        """Say which of these names came before, and which visible files of these roots are not among them, by name."""
        return await self._file.write(_compare, collection, names, roots)

    async def chunk_ids(self, collection: str, file: str) -> set[str]:
        """Ids of a file's visible chunks, none for an unknown file; raises UnknownCollection."""
        return await self._file.read(_chunk_ids, collection, file)

    async def publish(self, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
        """Make this version the visible one, in one transaction; return the ids that became stale.

        `file.chunks` and `file.updated` are counted and stamped here. The same version again changes nothing.
        """
        return await self._file.write(_publish, collection, file, chunks)

    async def remove(self, collection: str, file: str) -> set[str]:
        """Make a file invisible; return its ids, now stale and garbage; none for an unknown file."""
        return await self._file.write(_remove, collection, file)

    async def adopt(self, collection: str, file: str, root: str, content: str) -> None:
        """Note where an unchanged file was found this time, and the digest of its bytes; no new version."""
        await self._file.write(_adopt, collection, file, root, content)

    async def claim(self, collection: str, file: str, owner: str, dead: str = "") -> str:
        """Reserve a file for `owner` until he releases it; return who has it now, which may be somebody else."""
        return await self._file.write(_claim, collection, file, owner, dead)

    async def release(self, collection: str, file: str, owner: str, deleted: Iterable[str] = ()) -> None:
        """Give up a claim, and note that the vectors of `deleted` are gone; no claim is no error."""
        await self._file.write(_release, collection, file, owner, deleted)

    async def note_garbage(self, collection: str, file: str, ids: Sequence[str]) -> None:
        """Note vectors that are about to be written, except those of visible chunks."""
        await self._file.write(_note_garbage, collection, file, ids)

    async def garbage(self, collection: str, file: str | None = None) -> dict[str, list[str]]:
        """Return the ids of garbage, of all files or of one, by file."""
        return await self._file.read(_garbage, collection, file)

    async def page(self, collection: str, after: str = "", limit: int = 500) -> list[Chunk]:
        """Return the next visible chunks by id, those after the id given."""
        return await self._file.read(_page, collection, after, limit)

    async def rebuild_lexical(self, collection: str) -> int:
        """Make the lexical index anew from the chunks, in one transaction; return how many; a new version."""
        return await self._file.write(_rebuild_lexical, collection)

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones among these chunks, in the order asked; stale ids are simply absent."""
        return await self._file.read(_chunks, collection, ids)

    async def lexical(
        self, collection: str, query: str, top_k: int, where: Mapping[str, Any] | None = None
    ) -> list[LexicalMatch]:
        """BM25 over the visible chunks that pass the filter, best first; any text is a valid query."""
        return await self._file.read(_lexical, collection, query, top_k, self._frequencies, where)

    async def files_with(self, collection: str, where: Mapping[str, Any], limit: int) -> list[str]:
        """Return the names of at most `limit` files of which a visible chunk passes the filter."""
        return await self._file.read(_files_with, collection, where, limit)

    async def at(self, collection: str, places: Sequence[tuple[str, int]]) -> list[Chunk]:
        """Return the visible chunks at these places (file, position); there need not be any."""
        return await self._file.read(_at, collection, places)

    async def aclose(self) -> None:
        """Finish writes and release the file."""
        await self._file.aclose()


def _read_file(connection: sqlite3.Connection, collection: str, name: str) -> File | None:
    row = connection.execute(
        f"SELECT {FILE_COLUMNS} FROM files WHERE collection = ? AND name = ?",  # noqa: S608  # constants
        (key_of(connection, collection), name),
    ).fetchone()
    return File(*row) if row else None


def _files(connection: sqlite3.Connection, collection: str) -> list[File]:
    rows = connection.execute(
        f"SELECT {FILE_COLUMNS} FROM files WHERE collection = ? ORDER BY name",  # noqa: S608  # constants
        (key_of(connection, collection),),
    )
    return [File(*row) for row in rows]


def _compare(connection: sqlite3.Connection, collection: str, names: Iterable[str], roots: Set[str]) -> Compared:
    return listed.compare(connection, key_of(connection, collection), names, roots)


def _chunk_ids(connection: sqlite3.Connection, collection: str, file: str) -> set[str]:
    rows = connection.execute(
        "SELECT chunks.id FROM chunks JOIN files ON files.key = chunks.file "
        "WHERE files.collection = ? AND files.name = ?",
        (key_of(connection, collection), file),
    )
    return {row[0] for row in rows}


def _publish(connection: sqlite3.Connection, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
    return publication.publish(connection, key_of(connection, collection), file, chunks, unix_now())


def _remove(connection: sqlite3.Connection, collection: str, file: str) -> set[str]:
    return publication.remove(connection, key_of(connection, collection), file)


def _adopt(connection: sqlite3.Connection, collection: str, file: str, root: str, content: str) -> None:
    connection.execute(
        "UPDATE files SET root = ?, content = ? WHERE collection = ? AND name = ?",
        (root, content, key_of(connection, collection), file),
    )


def _claim(connection: sqlite3.Connection, collection: str, file: str, owner: str, dead: str) -> str:
    return garbage.claim(connection, key_of(connection, collection), file, owner, dead)


def _release(connection: sqlite3.Connection, collection: str, file: str, owner: str, deleted: Iterable[str]) -> None:
    garbage.release(connection, key_of(connection, collection), file, owner, deleted)


def _note_garbage(connection: sqlite3.Connection, collection: str, file: str, ids: Sequence[str]) -> None:
    garbage.note(connection, key_of(connection, collection), file, ids)


def _garbage(connection: sqlite3.Connection, collection: str, file: str | None) -> dict[str, list[str]]:
    return garbage.noted(connection, key_of(connection, collection), file)


def _page(connection: sqlite3.Connection, collection: str, after: str, limit: int) -> list[Chunk]:
    return index_rows.page(connection, key_of(connection, collection), after, limit)


def _rebuild_lexical(connection: sqlite3.Connection, collection: str) -> int:
    return index_rows.rebuild_words(connection, key_of(connection, collection))


def _chunks(connection: sqlite3.Connection, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
    key = key_of(connection, collection)
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


def _files_with(connection: sqlite3.Connection, collection: str, where: Mapping[str, Any], limit: int) -> list[str]:
    return places.files_with(connection, key_of(connection, collection), where, limit)


def _at(connection: sqlite3.Connection, collection: str, wanted: Sequence[tuple[str, int]]) -> list[Chunk]:
    return places.chunks_at(connection, key_of(connection, collection), wanted)


def _lexical(
    connection: sqlite3.Connection,
    collection: str,
    query: str,
    top_k: int,
    frequencies: lexical.Frequencies,
    where: Mapping[str, Any] | None,
) -> list[LexicalMatch]:
    row = connection.execute("SELECT key, version, chunks FROM collections WHERE name = ?", (collection,)).fetchone()
    if row is None:
        raise unknown(connection, collection)
    key, version, chunks = row
    return lexical.search(connection, key, chunks, query, top_k, frequencies.at(key, version), where)
