"""Reading a collection's chunks from end to end, and making its lexical index anew from them."""

from __future__ import annotations

import sqlite3

from rushhour.catalog.contract import Chunk
from rushhour.catalog.publication import CHUNK_COLUMNS, chunk_of
from rushhour.catalog.schema import create_words, drop_words, words_table


def page(connection: sqlite3.Connection, collection: int, after: str, limit: int) -> list[Chunk]:
    """Return the next visible chunks by id."""
    columns = ", ".join(f"chunks.{column}" for column in CHUNK_COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT files.name, {columns} FROM chunks JOIN files ON files.key = chunks.file "  # noqa: S608  # constants
        "WHERE chunks.collection = ? AND chunks.id > ? ORDER BY chunks.id LIMIT ?",
        (collection, after, limit),
    )
    return [chunk_of(row[0], row[1:]) for row in rows]


def rebuild_words(connection: sqlite3.Connection, collection: int) -> int:
    """Make the full-text table anew, whatever had become of it; return how many chunks it holds.

    The collection takes a new version: what was answered from a broken index is not as good as new.
    """
    drop_words(connection, collection)
    create_words(connection, collection)
    added = connection.execute(
        f"INSERT INTO {words_table(collection)} (rowid, title, heading, text) "  # noqa: S608  # a number
        "SELECT key, title, heading, text FROM chunks WHERE collection = ?",
        (collection,),
    )
    connection.execute("UPDATE collections SET version = version + 1 WHERE key = ?", (collection,))
    return added.rowcount
