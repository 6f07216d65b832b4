"""Vectors as rows of an SQLite file: the durable form that the matrices in memory are filled from.

Every change of a namespace takes the next generation. Rows carry the generation of their last write and deleted ids
leave a tombstone with theirs, so whoever knows generation g reads only what came after it. Old tombstones are
pruned; whoever is older than the pruning reads everything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rushhour.errors import Rejected
from rushhour.hops.contract import Record
from rushhour.hops.embedded_matrix import Rows
from rushhour.sqlite import Schema

SCHEMA: Final = Schema(
    name="vector store",
    application=0x52487663,  # "RHvc"
    steps=(
        """
        CREATE TABLE namespaces (
            key        INTEGER PRIMARY KEY AUTOINCREMENT,
            name       TEXT NOT NULL UNIQUE,
            dimensions INTEGER NOT NULL,
            generation INTEGER NOT NULL DEFAULT 0,
            pruned     INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE records (
            key        INTEGER PRIMARY KEY,
            namespace  INTEGER NOT NULL REFERENCES namespaces (key),
            generation INTEGER NOT NULL,
            id         TEXT NOT NULL,
            metadata   TEXT NOT NULL,
            vector     BLOB NOT NULL,
            UNIQUE (namespace, id)
        );
        CREATE INDEX records_by_generation ON records (namespace, generation);
        CREATE TABLE tombstones (
            namespace  INTEGER NOT NULL REFERENCES namespaces (key),
            id         TEXT NOT NULL,
            generation INTEGER NOT NULL,
            PRIMARY KEY (namespace, id)
        ) WITHOUT ROWID
        """,
    ),
)

TOMBSTONES_KEPT: Final = 20_000
_ROWS_A_READ: Final = 2048


@dataclass(frozen=True, slots=True)
class Namespace:
    """Where a namespace stands; `key` is never used twice, so a namespace made anew is another."""

    key: int
    dimensions: int
    generation: int
    pruned: int


def find(connection: sqlite3.Connection, name: str) -> Namespace | None:
    """Return where a namespace stands, or None if it holds nothing."""
    row = connection.execute(
        "SELECT key, dimensions, generation, pruned FROM namespaces WHERE name = ?", (name,)
    ).fetchone()
    return Namespace(*row) if row else None


def count(connection: sqlite3.Connection, name: str) -> int:
    """Count a namespace's records."""
    row = connection.execute(
        "SELECT count(*) FROM records JOIN namespaces ON namespaces.key = records.namespace WHERE name = ?", (name,)
    ).fetchone()
    return int(row[0])


def write(connection: sqlite3.Connection, name: str, records: Sequence[Record], vectors: Rows) -> int:
    """Write records under a new generation; raises Rejected if the namespace has other dimensions."""
    connection.execute(
        "INSERT INTO namespaces (name, dimensions) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        (name, vectors.shape[1]),
    )
    namespace = _next_generation(connection, name)
    check_dimensions(name, namespace.dimensions, vectors.shape[1])
    connection.executemany(
        "INSERT INTO records (namespace, generation, id, metadata, vector) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (namespace, id) DO UPDATE SET "
        "generation = excluded.generation, metadata = excluded.metadata, vector = excluded.vector",
        (
            (namespace.key, namespace.generation, record.id, json.dumps(dict(record.metadata)), vector.tobytes())
            for record, vector in zip(records, vectors.astype("<f4", copy=False), strict=True)
        ),
    )
    connection.executemany(
        "DELETE FROM tombstones WHERE namespace = ? AND id = ?", ((namespace.key, record.id) for record in records)
    )
    return len(records)


def delete(connection: sqlite3.Connection, name: str, ids: Sequence[str]) -> None:
    """Delete records under a new generation; unknown ids are no error."""
    if find(connection, name) is None:
        return
    namespace = _next_generation(connection, name)
    for one in ids:
        gone = connection.execute("DELETE FROM records WHERE namespace = ? AND id = ?", (namespace.key, one))
        if gone.rowcount:
            connection.execute(
                "INSERT INTO tombstones (namespace, id, generation) VALUES (?, ?, ?)",
                (namespace.key, one, namespace.generation),
            )
    _prune(connection, namespace)


def delete_all(connection: sqlite3.Connection, name: str) -> None:
    """Forget a namespace; the next record written to it may have any dimensions."""
    namespace = find(connection, name)
    if namespace is not None:
        for table in ("records", "tombstones"):
            connection.execute(f"DELETE FROM {table} WHERE namespace = ?", (namespace.key,))  # noqa: S608  # constants
        connection.execute("DELETE FROM namespaces WHERE key = ?", (namespace.key,))


def changed_since(
    connection: sqlite3.Connection, namespace: Namespace, generation: int
) -> Iterator[tuple[list[str], Rows, list[Mapping[str, Any]]]]:
    """Yield the records written after a generation: ids, vectors and metadata, a few thousand at a time."""
    rows = connection.execute(
        "SELECT id, vector, metadata FROM records WHERE namespace = ? AND generation > ?", (namespace.key, generation)
    )
    while some := rows.fetchmany(_ROWS_A_READ):
        vectors = np.frombuffer(b"".join(row[1] for row in some), "<f4").reshape(len(some), namespace.dimensions)
        yield [row[0] for row in some], vectors, [json.loads(row[2]) for row in some]


def deleted_since(connection: sqlite3.Connection, namespace: Namespace, generation: int) -> list[str]:
    """Return the ids deleted after a generation (and not written again)."""
    rows = connection.execute(
        "SELECT id FROM tombstones WHERE namespace = ? AND generation > ?", (namespace.key, generation)
    )
    return [row[0] for row in rows]


def check_dimensions(name: str, has: int, given: int) -> None:
    """Raise Rejected if a vector does not fit its namespace."""
    if has != given:
        raise Rejected(
            f"A vector of {given} dimensions does not fit the namespace {name!r}, whose vectors have {has}: they come "
            "from another embedder. Ask with the embedder it was filled with, or ingest into another collection."
        )


def _next_generation(connection: sqlite3.Connection, name: str) -> Namespace:
    row = connection.execute(
        "UPDATE namespaces SET generation = generation + 1 WHERE name = ? "
        "RETURNING key, dimensions, generation, pruned",
        (name,),
    ).fetchone()
    return Namespace(*row)


def _prune(connection: sqlite3.Connection, namespace: Namespace) -> None:
    (kept,) = connection.execute("SELECT count(*) FROM tombstones WHERE namespace = ?", (namespace.key,)).fetchone()
    if kept <= TOMBSTONES_KEPT:
        return
    connection.execute("DELETE FROM tombstones WHERE namespace = ?", (namespace.key,))
    connection.execute("UPDATE namespaces SET pruned = ? WHERE key = ?", (namespace.generation, namespace.key))
