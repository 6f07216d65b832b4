"""The record of ingestion jobs in the catalog's SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rushhour.catalog import job_rows
from rushhour.catalog.job_contract import FileState, Job, JobFile, JobState
from rushhour.clock import unix_now
from rushhour.sqlite import SqliteFile


class SqliteJobs:
    """`JobRecords` on SQLite: the part of the catalog that tells what is being done to it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def create_job(self, job: Job) -> None:
        """Record a new job; raises InvalidRequest if there is one of that id."""
        await self._file.write(job_rows.create, job, unix_now())

    async def jobs(self, collection: str | None = None) -> list[Job]:
        """List all jobs, or those of one collection (it need not exist), the newest first."""
        return await self._file.read(job_rows.every, collection)

    async def job(self, ident: str) -> Job:
        """Return one; raises InvalidRequest for an unknown id."""
        return await self._file.read(job_rows.one, ident)

    async def set_job(self, ident: str, state: JobState, reason: str = "") -> Job:
        """Move a job to a state, stamp when it began or ended, return it; raises InvalidRequest for an unknown id."""
        return await self._file.write(job_rows.move, ident, state, reason, unix_now())

    async def spend(self, ident: str, tokens: int, cost_usd: float) -> None:
        """Add to what a job was charged."""
        await self._file.write(job_rows.spend, ident, tokens, cost_usd)

    async def note_job_files(self, ident: str, files: Sequence[JobFile]) -> None:
        """Write the present state of some of a job's files; a name that is known is overwritten."""
        await self._file.write(job_rows.note_files, ident, files)

    async def list_job_files(self, ident: str, names: Iterable[str]) -> None:
        """Set which files a job has: new names wait, known ones stay as they are, all others are forgotten."""
        await self._file.write(job_rows.list_files, ident, names)

    async def job_file(self, ident: str, name: str) -> JobFile | None:
        """Return one of a job's files; None for an unknown id or name."""
        return await self._file.read(job_rows.file, ident, name)

    async def job_files(self, ident: str, *states: FileState) -> list[JobFile]:
        """List a job's files by name, all or those in some states; none for an unknown id."""
        return await self._file.read(job_rows.files, ident, states)

    async def drop_job(self, ident: str) -> None:
        """Forget a job and its files; an unknown id is no error."""
        await self._file.write(job_rows.drop, ident)
