"""Ingestions as the catalog records them: a job, and what became of each of its files."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


class JobState(enum.StrEnum):
    """Where an ingestion stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    """Nothing is left to do, though files may be parked."""
    FAILED = "failed"
    """Given up for a reason that would befall every file; it can be resumed."""
    INTERRUPTED = "interrupted"
    """Its process was stopped or died; it can be resumed."""


class FileState(enum.StrEnum):
    """Where one file of a job stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    """It is tried again."""
    PARKED = "parked"
    """It is not tried again unless somebody says so."""


@dataclass(frozen=True, slots=True)
class Job:
    """An ingestion as it is recorded; times are in Unix seconds, 0 where it has not come to that.

    `asked` is the JSON of what is to be ingested. `waiting`, `done`, `failed` and `parked` count its files, `chunks`
    those visible of them, `embedded` those that were paid for, `tokens` and `cost_usd` what for.
    """

    id: str
    collection: str
    asked: str
    state: JobState = JobState.QUEUED
    reason: str = ""
    created: int = 0
    began: int = 0
    ended: int = 0
    waiting: int = 0
    done: int = 0
    failed: int = 0
    parked: int = 0
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    @property
    def files(self) -> int:
        """How many it has."""
        return self.waiting + self.done + self.failed + self.parked


@dataclass(frozen=True, slots=True)
class JobFile:
    """One file of a job; `outcome` is what became of it, in the words of the ingestion's report.

    `kept` counts the chunks whose vectors were paid for before.
    """

    name: str
    state: FileState = FileState.WAITING
    outcome: str = ""
    reason: str = ""
    attempts: int = 0
    chunks: int = 0
    embedded: int = 0
    kept: int = 0
    deleted: int = 0


class JobRecords(Protocol):
    """The durable record of ingestions; who runs one is not recorded here, for that would outlive him."""

    async def create_job(self, job: Job) -> None:
        """Record a new job; raises InvalidRequest if there is one of that id."""
        ...

    async def jobs(self, collection: str | None = None) -> list[Job]:
        """List all jobs, or those of one collection (it need not exist), the newest first."""
        ...

    async def job(self, ident: str) -> Job:
        """Return one; raises InvalidRequest for an unknown id."""
        ...

    async def set_job(self, ident: str, state: JobState, reason: str = "") -> Job:
        """Move a job to a state and stamp when it began or ended; return it. Raises InvalidRequest for an unknown id.

        When a job is done, the file rows of the collection's older ones are forgotten, except for what is parked;
        so are all but the latest hundred jobs that have ended, however they did.
        """
        ...

    async def spend(self, ident: str, tokens: int, cost_usd: float) -> None:
        """Add to what a job was charged."""
        ...

    async def note_job_files(self, ident: str, files: Sequence[JobFile]) -> None:
        """Write the present state of some of a job's files; a name that is known is overwritten."""
        ...

    async def list_job_files(self, ident: str, names: Iterable[str]) -> None:
        """Set which files a job has: new names wait, known ones stay as they are, all others are forgotten.

        The names are gone through in a thread, and not kept in memory.
        """
        ...

    async def job_file(self, ident: str, name: str) -> JobFile | None:
        """Return one of a job's files; None for an unknown id or name."""
        ...

    async def job_files(self, ident: str, *states: FileState) -> list[JobFile]:
        """List a job's files by name, all or those in some states; none for an unknown id."""
        ...

    async def drop_job(self, ident: str) -> None:
        """Forget a job and its files; an unknown id is no error."""
        ...
