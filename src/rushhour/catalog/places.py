"""Chunks by where they stand, and files by what is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from rushhour.catalog.contract import Chunk
from rushhour.catalog.publication import CHUNK_COLUMNS, chunk_of
from rushhour.catalog.restriction import condition


def chunks_at(connection: sqlite3.Connection, collection: int, places: Iterable[tuple[str, int]]) -> list[Chunk]:
    """Return the visible chunks at these places (file, position); there need not be any."""
    columns = ", ".join(f"chunks.{column}" for column in CHUNK_COLUMNS.split(", "))
    found = []
    for file, position in places:
        row = connection.execute(
            f"SELECT {columns} FROM chunks JOIN files ON files.key = chunks.file "  # noqa: S608  # constants
            "WHERE files.collection = ? AND files.name = ? AND chunks.position = ?",
            (collection, file, position),
        ).fetchone()
        if row is not None:
            found.append(chunk_of(file, row))
    return found


def files_with(connection: sqlite3.Connection, collection: int, where: Mapping[str, Any], limit: int) -> list[str]:
    """Return the names of at most `limit` files of which a chunk passes the filter."""
    expression, values = condition(where)
    rows = connection.execute(
        "SELECT files.name FROM files WHERE files.collection = ? AND EXISTS "  # noqa: S608  # constants and parameters
        f"(SELECT 1 FROM chunks WHERE chunks.file = files.key AND {expression}) LIMIT ?",
        (collection, *values, limit),
    )
    return [row[0] for row in rows]
