"""What was listed, beside what is known: in a table of its own for a moment, for a folder may hold a million files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager

from rushhour.catalog.contract import Compared, File
from rushhour.catalog.publication import FILE_COLUMNS


@contextmanager
def listed(connection: sqlite3.Connection, names: Iterable[str]) -> Iterator[frozenset[int]]:
    """Fill the table `listed (name)` while the block runs; yields the places of names that came before."""
    connection.execute("CREATE TEMP TABLE listed (name TEXT PRIMARY KEY) WITHOUT ROWID")
    add = "INSERT OR IGNORE INTO listed VALUES (?)"
    yield frozenset(place for place, name in enumerate(names) if not connection.execute(add, (name,)).rowcount)
    connection.execute("DROP TABLE listed")  # what raises is rolled back, and the table with it


def compare(connection: sqlite3.Connection, collection: int, names: Iterable[str], roots: Set[str]) -> Compared:
    """Compare names, in the order listed, with the visible files of these roots."""
    with listed(connection, names) as repeated:
        rows = connection.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE collection = ? "  # noqa: S608  # constants
            "AND root IN (SELECT value FROM json_each(?)) AND name NOT IN (SELECT name FROM listed) ORDER BY name",
            (collection, json.dumps(sorted(roots))),
        ).fetchall()
    return Compared(repeated, tuple(File(*row) for row in rows))
