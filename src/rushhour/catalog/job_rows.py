"""The rows of ingestion jobs and of their files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, Final

from rushhour.catalog.job_contract import FileState, Job, JobFile, JobState
from rushhour.catalog.listed import listed
from rushhour.errors import InvalidRequest

KEPT_JOBS: Final = 100
_JOB: Final = (
    "id, collection, asked, state, reason, created, began, ended, waiting, done, failed, parked, chunks, embedded, "
    "tokens, cost_usd"
)
_FILE: Final = "name, state, outcome, reason, attempts, chunks, embedded, kept, deleted"
_COUNTS: Final = (
    "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'done'), "
    "count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'parked'), "
    "coalesce(sum(chunks), 0), coalesce(sum(embedded), 0) FROM job_files WHERE job = ?"
)
_ENDED: Final = (JobState.DONE, JobState.FAILED, JobState.INTERRUPTED)


def create(connection: sqlite3.Connection, job: Job, now: int) -> None:
    """Add a job; raises InvalidRequest if there is one of that id."""
    try:
        connection.execute(
            "INSERT INTO jobs (id, collection, asked, state, reason, created, began, ended) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
            (job.id, job.collection, job.asked, job.state, job.reason, now),
        )
    except sqlite3.IntegrityError as cause:
        raise InvalidRequest(f"There is a job {job.id!r} already.", param="job") from cause


def every(connection: sqlite3.Connection, collection: str | None) -> list[Job]:
    """List jobs, the newest first."""
    if not (collection or "").isascii():  # as in `one`
        return []
    rows = connection.execute(
        f"SELECT {_JOB} FROM jobs WHERE ? IS NULL OR collection = ? ORDER BY key DESC",  # noqa: S608  # constants
        (collection, collection),
    )
    return [_job(row) for row in rows]


def one(connection: sqlite3.Connection, ident: str) -> Job:
    """Return a job; raises InvalidRequest for an unknown id."""
    row = None
    if ident.isascii():  # no id is anything else, and what a shell hands over may be no text
        row = connection.execute(f"SELECT {_JOB} FROM jobs WHERE id = ?", (ident,)).fetchone()  # noqa: S608  # constants
    if row is None:
        raise InvalidRequest(f"There is no job {ident!r}. `rushhour jobs` lists those that there are.", param="job")
    return _job(row)


def move(connection: sqlite3.Connection, ident: str, state: JobState, reason: str, now: int) -> Job:
    """Set a job's state; see the contract for what is forgotten when it is done."""
    before = one(connection, ident)
    began = now if state is JobState.RUNNING else before.began
    ended = now if state in _ENDED else 0
    connection.execute(
        "UPDATE jobs SET state = ?, reason = ?, began = ?, ended = ? WHERE id = ?", (state, reason, began, ended, ident)
    )
    if state is JobState.DONE:
        connection.execute("DELETE FROM claims WHERE owner = ?", (ident,))
        _forget_old(connection, before)
    return one(connection, ident)


def spend(connection: sqlite3.Connection, ident: str, tokens: int, cost_usd: float) -> None:
    """Add to what a job was charged."""
    connection.execute(
        "UPDATE jobs SET tokens = tokens + ?, cost_usd = cost_usd + ? WHERE id = ?", (tokens, cost_usd, ident)
    )


def note_files(connection: sqlite3.Connection, ident: str, files: Sequence[JobFile]) -> None:
    """Write rows of files, and count what that changes: a job may have a million others, or have forgotten them."""
    key = _key(connection, ident)
    names = json.dumps([file.name for file in files])
    before = _counts(connection, key, names)
    connection.executemany(
        f"INSERT OR REPLACE INTO job_files (job, {_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
        ((key, *astuple(file)) for file in files),
    )
    changes = (after - old for after, old in zip(_counts(connection, key, names), before, strict=True))
    connection.execute(
        "UPDATE jobs SET waiting = waiting + ?, done = done + ?, failed = failed + ?, parked = parked + ?, "
        "chunks = chunks + ?, embedded = embedded + ? WHERE key = ?",
        (*changes, key),
    )


def list_files(connection: sqlite3.Connection, ident: str, names: Iterable[str]) -> None:
    """Add what is new, forget what is no longer listed."""
    key = _key(connection, ident)
    with listed(connection, names):
        connection.execute("DELETE FROM job_files WHERE job = ? AND name NOT IN (SELECT name FROM listed)", (key,))
        connection.execute(
            "INSERT OR IGNORE INTO job_files (job, name, state) SELECT ?, name, ? FROM listed", (key, FileState.WAITING)
        )
    _count(connection, key)


def file(connection: sqlite3.Connection, ident: str, name: str) -> JobFile | None:
    """Return one of a job's files, if it has it."""
    row = connection.execute(
        f"SELECT {_FILE} FROM job_files WHERE job = (SELECT key FROM jobs WHERE id = ?) AND name = ?",  # noqa: S608  # constants
        (ident, name),
    ).fetchone()
    return _job_file(row) if row else None


def files(connection: sqlite3.Connection, ident: str, states: Sequence[FileState]) -> list[JobFile]:
    """List a job's files by name, in some states or in all."""
    wanted = states or tuple(FileState)
    rows = connection.execute(
        f"SELECT {_FILE} FROM job_files WHERE job = (SELECT key FROM jobs WHERE id = ?) "  # noqa: S608  # constants
        f"AND state IN ({', '.join('?' * len(wanted))}) ORDER BY name",
        (ident, *wanted),
    )
    return [_job_file(row) for row in rows]


def drop(connection: sqlite3.Connection, ident: str) -> None:
    """Forget a job and its files."""
    connection.execute("DELETE FROM job_files WHERE job = (SELECT key FROM jobs WHERE id = ?)", (ident,))
    connection.execute("DELETE FROM jobs WHERE id = ?", (ident,))


def _job(row: tuple[Any, ...]) -> Job:
    ident, collection, asked, state, *more = row
    return Job(ident, collection, asked, JobState(state), *more)


def _job_file(row: tuple[Any, ...]) -> JobFile:
    name, state, *more = row
    return JobFile(name, FileState(state), *more)


def _key(connection: sqlite3.Connection, ident: str) -> int:
    one(connection, ident)
    return int(connection.execute("SELECT key FROM jobs WHERE id = ?", (ident,)).fetchone()[0])


def _count(connection: sqlite3.Connection, key: int) -> None:
    connection.execute(
        f"UPDATE jobs SET (waiting, done, failed, parked, chunks, embedded) = ({_COUNTS}) WHERE key = ?",  # noqa: S608  # constants
        (key, key),
    )


def _counts(connection: sqlite3.Connection, key: int, names: str) -> tuple[int, ...]:
    """Count some of a job's files, whose names are given as JSON."""
    some = f"{_COUNTS} AND name IN (SELECT value FROM json_each(?))"  # noqa: S608  # constants
    return tuple(connection.execute(some, (key, names)).fetchone())


def _forget_old(connection: sqlite3.Connection, job: Job) -> None:
    """Keep of older finished jobs what somebody may still act on, and their counts; of the oldest nothing."""
    connection.execute(
        "DELETE FROM job_files WHERE state = ? AND job IN "
        "(SELECT key FROM jobs WHERE collection = ? AND id != ? AND state = ?)",
        (FileState.DONE, job.collection, job.id, JobState.DONE),
    )
    old = connection.execute(
        f"SELECT id FROM jobs WHERE state IN ({', '.join('?' * len(_ENDED))}) "  # noqa: S608  # placeholders
        "ORDER BY key DESC LIMIT -1 OFFSET ?",
        (*_ENDED, KEPT_JOBS),
    ).fetchall()
    for (ident,) in old:
        drop(connection, ident)
