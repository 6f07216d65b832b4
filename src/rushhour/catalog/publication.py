"""Flipping a file to a new version: what leaves, what comes, what merely moved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from rushhour.catalog import garbage
from rushhour.catalog.contract import Chunk, File
from rushhour.catalog.schema import forget_words, learn_words
from rushhour.errors import InvalidRequest

Row: TypeAlias = tuple[Any, ...]

CHUNK_COLUMNS: Final = 'id, position, page, start, "end", title, heading, source, metadata, text'
FILE_COLUMNS: Final = "name, fingerprint, title, source, bytes, chunks, updated, root, content"
_TITLE, _HEADING, _TEXT = 5, 6, 9


def publish(connection: sqlite3.Connection, collection: int, file: File, chunks: Sequence[Chunk], now: int) -> set[str]:
    """Make this version the visible one; return the ids that became stale, and are garbage from now on.

    The same version again changes nothing, not even the collection's version. Raises InvalidRequest for an id that
    occurs twice or belongs to another file.
    """
    new = _rows(chunks, file.name)
    file = replace(file, chunks=len(new))
    before = connection.execute(
        f"SELECT key, {FILE_COLUMNS} FROM files WHERE collection = ? AND name = ?",  # noqa: S608  # constants
        (collection, file.name),
    ).fetchone()
    key = before[0] if before else None
    old = _stored(connection, key)
    if before and _same_version(File(*before[1:]), file) and {row[1:] for row in old.values()} == set(new.values()):
        return set()
    key = _write_file(connection, collection, key, file, now)
    stale = {name for name, row in old.items() if name not in new}
    changed = [row for name, row in new.items() if name not in old or old[name][1:] != row]
    _forget(connection, collection, [row for name, row in old.items() if name in stale or old[name][1:] != new[name]])
    _learn(connection, collection, key, file.name, changed)
    garbage.forget(connection, collection, file.name, [row[0] for row in changed])
    garbage.note(connection, collection, file.name, stale)
    _count(connection, collection, files=0 if before else 1, chunks=len(new) - len(old))
    return stale


def remove(connection: sqlite3.Connection, collection: int, name: str) -> set[str]:
    """Make a file invisible; return its ids, now garbage (none if there was no such file)."""
    found = connection.execute("SELECT key FROM files WHERE collection = ? AND name = ?", (collection, name)).fetchone()
    if found is None:
        return set()
    old = _stored(connection, found[0])
    _forget(connection, collection, list(old.values()))
    connection.execute("DELETE FROM files WHERE key = ?", found)
    garbage.note(connection, collection, name, old)
    _count(connection, collection, files=-1, chunks=-len(old))
    return set(old)


def chunk_of(file: str, row: Row) -> Chunk:
    """Read back what `CHUNK_COLUMNS` selects."""
    name, position, page, start, end, title, heading, source, metadata, text = row
    return Chunk(name, file, position, text, title, heading, page, start, end, source, json.loads(metadata))


def _rows(chunks: Sequence[Chunk], file: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for chunk in chunks:
        if chunk.id in rows:
            raise InvalidRequest(f"The chunk id {chunk.id!r} occurs twice in {file!r}; number equal texts apart.")
        rows[chunk.id] = (
            chunk.id,
            chunk.position,
            chunk.page,
            chunk.start,
            chunk.end,
            chunk.title,
            chunk.heading,
            chunk.source,
            json.dumps(dict(chunk.metadata), sort_keys=True),
            chunk.text,
        )
    return rows


def _stored(connection: sqlite3.Connection, file: int | None) -> dict[str, Row]:
    """Map the ids of a file's visible chunks to their rows, each with its key before it."""
    rows = connection.execute(f"SELECT key, {CHUNK_COLUMNS} FROM chunks WHERE file = ?", (file,))  # noqa: S608  # constants
    return {row[1]: row for row in rows}


def _same_version(before: File, after: File) -> bool:
    return replace(before, updated=0) == replace(after, updated=0)


def _write_file(connection: sqlite3.Connection, collection: int, key: int | None, file: File, now: int) -> int:
    row = (file.fingerprint, file.title, file.source, file.bytes, file.chunks, now, file.root, file.content)
    if key is not None:
        connection.execute(
            "UPDATE files SET fingerprint = ?, title = ?, source = ?, bytes = ?, chunks = ?, updated = ?, root = ?, "
            "content = ? WHERE key = ?",
            (*row, key),
        )
        return key
    added = connection.execute(
        f"INSERT INTO files (collection, {FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
        (collection, file.name, *row),
    )
    return int(added.lastrowid or 0)


def _forget(connection: sqlite3.Connection, collection: int, rows: Sequence[Row]) -> None:
    for key, *row in rows:
        forget_words(connection, collection, key, row[_TITLE], row[_HEADING], row[_TEXT])
    connection.executemany("DELETE FROM chunks WHERE key = ?", [(row[0],) for row in rows])


def _learn(connection: sqlite3.Connection, collection: int, file: int, name: str, rows: Sequence[Row]) -> None:
    for row in rows:
        try:
            added = connection.execute(
                f"INSERT INTO chunks (collection, file, {CHUNK_COLUMNS}) "  # noqa: S608  # constants
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (collection, file, *row),
            )
        except sqlite3.IntegrityError as cause:
            raise InvalidRequest(
                f"The chunk id {row[0]!r} of {name!r} belongs to another file; ids start with their file's name."
            ) from cause
        learn_words(connection, collection, int(added.lastrowid or 0), row[_TITLE], row[_HEADING], row[_TEXT])


def _count(connection: sqlite3.Connection, collection: int, files: int, chunks: int) -> None:
    connection.execute(
        "UPDATE collections SET version = version + 1, files = files + ?, chunks = chunks + ? WHERE key = ?",
        (files, chunks, collection),
    )
