"""One SQLite file, used from an event loop: one thread writes, a few read, and the loop never waits for a disk.

WAL lets readers see the last commit while a writer works, in this process and in others. Whatever kills the process,
what was committed stays; whether it also survives a power cut is the schema's choice, for it costs a disk flush a
commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from rushhour.errors import SettingsError, Unavailable

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT_MS = 15_000
"""How long a statement, and the opening of a file, wait for another process's transaction."""

BUSY_POLL_MS = 10


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file holds: `steps[n]` brings version n to n + 1; `application` is 32 bits that mark our files.

    `survives_power_cut` costs a disk flush a commit; without it the last commits may be lost, the file stays whole.
    """

    name: str
    application: int
    steps: tuple[str, ...]
    survives_power_cut: bool = True


class SqliteFile:
    """Transactions on one file; each runs in a thread, on a connection of that thread.

    Closing finishes what was begun. A transaction whose caller is cancelled is still committed or rolled back whole.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection, readers: int) -> None:
        self._path = path
        self._write_connection = writer
        self._read_connections: list[sqlite3.Connection] = []
        self._mine = threading.local()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{path.name}-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix=f"{path.name}-read")
        self._closed = False

    @classmethod
    async def open(cls, path: Path, schema: Schema, readers: int = 2) -> SqliteFile:
        """Open or create the file and bring its schema up to date; raises SettingsError naming path and remedy."""
        for _ in range(BUSY_TIMEOUT_MS // BUSY_POLL_MS):  # SQLite refuses the switch to WAL at once, busy or not
            connection = await asyncio.to_thread(_open, path, schema)
            if connection is not None:
                return cls(path, connection, readers)
            await asyncio.sleep(BUSY_POLL_MS / 1000)
        raise Unavailable(f"{path} has been locked by another process for {BUSY_TIMEOUT_MS / 1000:.0f} s.")

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(connection, …)` as one writing transaction; it is undone if `work` raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._writer, lambda: self._transact("BEGIN IMMEDIATE", self._write_connection, work, *args, **kwargs)
        )

    async def read(self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work(connection, …)` on one consistent snapshot."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers, lambda: self._transact("BEGIN", self._read_connection(), work, *args, **kwargs)
        )

    async def aclose(self) -> None:
        """Finish what was begun and close every connection; closing twice is no error."""
        if not self._closed:
            self._closed = True
            await asyncio.shield(asyncio.to_thread(self._close))

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in (*self._read_connections, self._write_connection):
            connection.close()

    def _read_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = _connect(self._path)
            self._read_connections.append(connection)
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _transact(
        self,
        begin: str,
        connection: sqlite3.Connection,
        work: Callable[Concatenate[sqlite3.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        try:
            connection.execute(begin)
            try:
                result = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise  # ours to mend, not the disk's
        except sqlite3.DatabaseError as cause:
            raise Unavailable(f"{self._path}: {cause}.") from cause
        return result


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _open(path: Path, schema: Schema) -> sqlite3.Connection | None:
    """Return a connection to the file, with its tables; None while another process is busy making them."""
    remedy = "Set RUSHHOUR_DATA_DIR to a folder that rushhour can write to."
    if path.is_dir():
        raise SettingsError(f"{path} is a directory, but rushhour keeps its {schema.name} in a file there. {remedy}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise SettingsError(f"{path.parent} cannot be made: {cause.strerror or cause}. {remedy}") from cause
    try:
        connection = _connect(path)
    except sqlite3.DatabaseError as cause:
        raise SettingsError(f"{path} cannot be opened: {cause}. {remedy}") from cause
    try:
        _prepare(connection, path, schema)
    except sqlite3.DatabaseError as cause:
        connection.close()
        if cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return None
        raise SettingsError(f"{path} cannot be used as the {schema.name}: {cause}. {remedy}") from cause
    except SettingsError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    connection.execute("BEGIN")  # one snapshot: another process may be making the tables right now
    try:
        _check(connection, path, schema)  # before anything is written: the file may be somebody else's
    finally:
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if schema.survives_power_cut else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _check(connection, path, schema)
        for step in schema.steps[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.application}")
        connection.execute(f"PRAGMA user_version = {len(schema.steps)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """Return the file's schema version, if it is ours and not newer than we are."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != schema.application and (application or tables):
        raise SettingsError(
            f"{path} is a database of another program, not rushhour's {schema.name}. "
            "Set RUSHHOUR_DATA_DIR to another folder, or move that file away."
        )
    if version > len(schema.steps):
        raise SettingsError(
            f"{path} was written by a newer rushhour (schema {version}; this one knows {len(schema.steps)}). "
            "Upgrade rushhour, or set RUSHHOUR_DATA_DIR to another folder."
        )
    return int(version)
