"""The rows of collections: one that is unknown is told with those that exist."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from rushhour.catalog.contract import Collection
from rushhour.catalog.schema import create_words, drop_words
from rushhour.clock import unix_now
from rushhour.errors import InvalidRequest, UnknownCollection

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_COLLECTION_COLUMNS: Final = (
    "name, embedder, version, created, files, chunks, "
    "coalesce((SELECT max(updated) FROM files WHERE collection = collections.key), created)"
)


def every(connection: sqlite3.Connection) -> list[Collection]:
    """List all by name."""
    rows = connection.execute(f"SELECT {_COLLECTION_COLUMNS} FROM collections ORDER BY name")  # noqa: S608  # constants
    return [Collection(*row) for row in rows]


def _find(connection: sqlite3.Connection, name: str) -> Collection | None:
    if not _NAME.fullmatch(name):  # nothing has a name that nothing can have, and some of those cannot be asked for
        return None
    row = connection.execute(
        f"SELECT {_COLLECTION_COLUMNS} FROM collections WHERE name = ?",  # noqa: S608  # constants
        (name,),
    ).fetchone()
    return Collection(*row) if row else None


def unknown(connection: sqlite3.Connection, name: str) -> UnknownCollection:
    """Return the error about a name that no collection has."""
    names = [collection.name for collection in every(connection)]
    known = f"Those that exist: {', '.join(names)}." if names else "None exists yet: `rushhour ingest` makes one."
    return UnknownCollection(f"There is no collection {name!r}. {known}", param="model")


def one(connection: sqlite3.Connection, name: str) -> Collection:
    """Return one; raises UnknownCollection."""
    found = _find(connection, name)
    if found is None:
        raise unknown(connection, name)
    return found


def key_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the key of one; raises UnknownCollection."""
    if _NAME.fullmatch(name):
        row = connection.execute("SELECT key FROM collections WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return int(row[0])
    raise unknown(connection, name)


def check(connection: sqlite3.Connection, name: str, embedder: str) -> Collection | None:
    """Return one, or None if it can be made; raises InvalidRequest for a bad name or another embedder."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot name a collection: use 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "the first a letter or digit.",
            param="collection",
        )
    found = _find(connection, name)
    if found is not None and found.embedder != embedder:
        raise InvalidRequest(
            f"The collection {name!r} was embedded with {found.embedder!r}, and vectors of {embedder!r} do not "
            "compare with those. Choose that embedder again (RUSHHOUR_EMBED__…), or another collection.",
            param="collection",
        )
    return found


def ensure(connection: sqlite3.Connection, name: str, embedder: str) -> Collection:
    """Create one, or return it; raises InvalidRequest for a bad name or another embedder."""
    found = check(connection, name, embedder)
    if found is not None:
        return found
    connection.execute(
        "INSERT INTO collections (name, embedder, version, created) "
        "VALUES (?, ?, coalesce((SELECT version + 1 FROM dropped WHERE name = ?), 0), ?)",
        (name, embedder, name, unix_now()),
    )
    create_words(connection, key_of(connection, name))
    return one(connection, name)


def drop(connection: sqlite3.Connection, name: str) -> None:
    """Forget one with all that belongs to it, but not its version."""
    key = key_of(connection, name)
    drop_words(connection, key)
    connection.execute("INSERT OR REPLACE INTO dropped SELECT name, version FROM collections WHERE key = ?", (key,))
    for table in ("chunks", "files", "garbage", "claims"):
        connection.execute(f"DELETE FROM {table} WHERE collection = ?", (key,))  # noqa: S608  # constants
    connection.execute("DELETE FROM collections WHERE key = ?", (key,))
