"""Vectors that no visible chunk owns, and who works on which file: so that nothing is left behind for ever.

Whoever writes or deletes vectors of a file holds its claim: two that disagree about a file take turns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def note(connection: sqlite3.Connection, collection: int, file: str, ids: Iterable[str]) -> None:
    """Note what is or may soon be in the vector store without a visible chunk."""
    connection.executemany(
        "INSERT OR IGNORE INTO garbage (collection, file, id) SELECT ?, ?, ? "
        "WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE collection = ? AND id = ?)",
        ((collection, file, one, collection, one) for one in ids),
    )


def forget(connection: sqlite3.Connection, collection: int, file: str, ids: Iterable[str]) -> None:
    """Note that these are deleted, or visible now."""
    connection.executemany(
        "DELETE FROM garbage WHERE collection = ? AND file = ? AND id = ?", ((collection, file, one) for one in ids)
    )


def noted(connection: sqlite3.Connection, collection: int, file: str | None) -> dict[str, list[str]]:
    """Return the ids of garbage by file, of all files or of one."""
    rows = connection.execute(
        "SELECT file, id FROM garbage WHERE collection = ? AND (? IS NULL OR file = ?) ORDER BY file, id",
        (collection, file, file),
    )
    found: dict[str, list[str]] = {}
    for name, ident in rows:
        found.setdefault(name, []).append(ident)
    return found


def claim(connection: sqlite3.Connection, collection: int, file: str, owner: str, dead: str) -> str:
    """Reserve a file unless somebody other than `dead` has it; return who has it now."""
    connection.execute(
        "INSERT INTO claims (collection, file, owner) VALUES (?, ?, ?) "
        "ON CONFLICT (collection, file) DO UPDATE SET owner = excluded.owner WHERE owner = ?",
        (collection, file, owner, dead),
    )
    row = connection.execute("SELECT owner FROM claims WHERE collection = ? AND file = ?", (collection, file))
    return str(row.fetchone()[0])


def release(connection: sqlite3.Connection, collection: int, file: str, owner: str, deleted: Iterable[str]) -> None:
    """Give up a claim, and forget the garbage that is deleted."""
    forget(connection, collection, file, deleted)
    connection.execute("DELETE FROM claims WHERE collection = ? AND file = ? AND owner = ?", (collection, file, owner))
