"""Embeddings that were paid for, kept by what was embedded: no text is ever bought twice.

A file of its own beside the catalog, for all collections: a document that was renamed, copied, dropped and ingested
again, or whose ingestion was killed, finds its vectors here, bit for bit as they came. The vector store can be made
anew from it. What no visible chunk has used for a month may be forgotten: who is found to be idle, and still is so a
month later, goes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rushhour.clock import unix_now
from rushhour.sqlite import Schema, SqliteFile

Floats: TypeAlias = NDArray[np.float32]

KEPT_S: Final = 30 * 86_400
"""How long a vector stays that no visible chunk uses."""
READERS: Final = 2
_DIGESTS_A_STATEMENT: Final = 500

SCHEMA: Final = Schema(
    name="store of paid embeddings",
    application=0x52486B76,  # "RHkv"
    # A power cut may take the last few megabytes: some hundreds of texts, hundredths of a cent; a flush for each call
    # to a provider would cost more. Whatever kills the process takes nothing.
    survives_power_cut=False,
    steps=(
        """
        CREATE TABLE embedders (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE vectors (
            key      INTEGER PRIMARY KEY,
            embedder INTEGER NOT NULL REFERENCES embedders (key),
            digest   BLOB NOT NULL,
            used     INTEGER NOT NULL,
            vector   BLOB NOT NULL,
            UNIQUE (embedder, digest)
        );
        CREATE INDEX vectors_by_use ON vectors (embedder, used)
        """,
        "ALTER TABLE vectors ADD COLUMN idle INTEGER NOT NULL DEFAULT 0",
    ),
)


def digest_of(text: str) -> bytes:
    """Return the key of a text: the SHA-256 of its UTF-8."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


class KeptVectors:
    """Vectors by embedder and digest; open it with `KeptVectors.open`, close it with `aclose`.

    Several processes may use the file. Raises Unavailable if the disk fails.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._pending: list[tuple[str, bytes, Floats]] = []
        self._written: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> KeptVectors:
        """Open or create the store at `path`; raises SettingsError if it cannot be, or is too new."""
        return cls(await SqliteFile.open(path, SCHEMA, READERS))

    async def get(self, embedder: str, digests: Sequence[bytes]) -> dict[bytes, Floats]:
        """Return those that are kept; the arrays are read-only. Whoever asks for one needs it: it is not idle."""
        if not digests:
            return {}
        found, idle = await self._file.read(_get, embedder, digests)
        if idle:
            await self._file.write(_use, embedder, idle, unix_now())
        return found

    async def put(self, embedder: str, digest: bytes, vector: Floats) -> None:
        """Keep a vector; on disk when this returns. Those that come while the disk is busy are written together.

        Whoever is cancelled meanwhile has it kept all the same: it is paid for.
        """
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        self._pending.append((embedder, digest, vector))
        written = self._written
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="kept-vectors-write")
        await asyncio.shield(written)

    async def embedders(self) -> list[str]:
        """Name those whose vectors are kept."""
        return await self._file.read(_embedders)

    async def due(self, embedder: str, now: int) -> set[bytes]:
        """Return the digests of which it has not been seen for `KEPT_S` seconds before `now` whether they are used."""
        return await self._file.read(_due, embedder, now - KEPT_S)

    async def settle(self, embedder: str, used: Iterable[bytes], idle: Iterable[bytes], now: int) -> int:
        """Note which of those that are due are used and which are idle; forget who was idle before; return how many."""
        return await self._file.write(_settle, embedder, list(used), list(idle), now)

    async def count(self) -> int:
        """Count all vectors."""
        return await self._file.read(_count)

    async def aclose(self) -> None:
        """Write what was put, and release the file."""
        if self._writer is not None:
            await asyncio.wait([self._writer])
        await self._file.aclose()

    async def _write(self) -> None:
        """Write all that waits, in one transaction, until none does."""
        try:
            while self._written is not None:
                batch, written = self._pending, self._written
                self._pending, self._written = [], None
                writing = asyncio.ensure_future(self._file.write(_put, batch, unix_now()))
                await asyncio.wait([writing])
                _tell(written, writing)
        finally:
            self._writer = None


def _tell(written: asyncio.Future[None], writing: asyncio.Future[None]) -> None:
    error = writing.exception()
    if error is None:
        written.set_result(None)
        return
    written.set_exception(error)
    written.exception()  # seen, even if everybody who waited has been cancelled


def _embedders(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM embedders ORDER BY name")]


def _embedder(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT key FROM embedders WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def _get(
    connection: sqlite3.Connection, embedder: str, digests: Sequence[bytes]
) -> tuple[dict[bytes, Floats], list[bytes]]:
    key = _embedder(connection, embedder)
    found: dict[bytes, Floats] = {}
    idle: list[bytes] = []
    for first in range(0, len(digests), _DIGESTS_A_STATEMENT):
        some = digests[first : first + _DIGESTS_A_STATEMENT]
        rows = connection.execute(
            f"SELECT digest, vector, idle FROM vectors WHERE embedder = ? AND digest IN ({', '.join('?' * len(some))})",  # noqa: S608  # placeholders
            (key, *some),
        )
        for digest, vector, is_idle in rows:
            found[digest] = np.frombuffer(vector, "<f4")
            idle += [digest] if is_idle else []
    return found, idle


def _put(connection: sqlite3.Connection, batch: Sequence[tuple[str, bytes, Floats]], now: int) -> None:
    keys: dict[str, int] = {}
    for name in {embedder for embedder, _, _ in batch}:
        connection.execute("INSERT OR IGNORE INTO embedders (name) VALUES (?)", (name,))
        keys[name] = _embedder(connection, name)
    connection.executemany(
        "INSERT OR IGNORE INTO vectors (embedder, digest, used, vector) VALUES (?, ?, ?, ?)",
        ((keys[name], digest, now, vector.astype("<f4", copy=False).tobytes()) for name, digest, vector in batch),
    )


def _due(connection: sqlite3.Connection, embedder: str, before: int) -> set[bytes]:
    rows = connection.execute(
        "SELECT digest FROM vectors WHERE embedder = ? AND used < ?", (_embedder(connection, embedder), before)
    )
    return {row[0] for row in rows}


def _settle(
    connection: sqlite3.Connection, embedder: str, used: Sequence[bytes], idle: Sequence[bytes], now: int
) -> int:
    key = _embedder(connection, embedder)
    _use(connection, embedder, used, now)
    deleted = connection.executemany(
        "DELETE FROM vectors WHERE embedder = ? AND digest = ? AND idle = 1 AND used < ?",
        ((key, one, now - KEPT_S) for one in idle),
    ).rowcount
    connection.executemany(
        "UPDATE vectors SET idle = 1, used = ? WHERE embedder = ? AND digest = ? AND used < ?",
        ((now, key, one, now - KEPT_S) for one in idle),
    )
    return max(0, deleted)


def _use(connection: sqlite3.Connection, embedder: str, digests: Iterable[bytes], now: int) -> None:
    key = _embedder(connection, embedder)
    connection.executemany(
        "UPDATE vectors SET idle = 0, used = ? WHERE embedder = ? AND digest = ?", ((now, key, one) for one in digests)
    )


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
