"""What a job has come to, written down as it goes, some hundreds of files at a time."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from rushhour.catalog.contract import Catalog
from rushhour.catalog.job_contract import FileState, JobFile
from rushhour.errors import RushhourError
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome
from rushhour.rag.receipt import Receipt

EVERY_S: Final = 0.5
"""What is lost with the process is no work: a file that was done is found unchanged."""


class Journal(Protocol):
    """Who an ingestion is, what became of its files before, and where to note what becomes of them now."""

    @property
    def owner(self) -> str:
        """The name that its claims are in."""
        ...

    async def recorded(self, name: str) -> JobFile | None:
        """Return what is known of a file that was begun before."""
        ...

    def note(self, file: JobFile) -> None:
        """Note where a file stands now."""
        ...


class Unrecorded:
    """The journal of an ingestion that nobody resumes."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    async def recorded(self, name: str) -> JobFile | None:  # noqa: ARG002  # the protocol's signature
        """Know nothing."""
        return None

    def note(self, file: JobFile) -> None:
        """Note nothing."""


class JobJournal:
    """The journal of a job in the catalog; use it as a context manager, which writes the rest at the end.

    `receipt` says what was charged so far.
    """

    def __init__(self, catalog: Catalog, job: str, receipt: Receipt) -> None:
        self.owner = job
        self._catalog = catalog
        self._receipt = receipt
        self._charged = (0, 0.0)
        self._pending: dict[str, JobFile] = {}
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def recorded(self, name: str) -> JobFile | None:
        """Return what is known of a file that was begun before."""
        row = await self._catalog.job_file(self.owner, name)
        return None if row is None or row.state is FileState.WAITING else row

    def note(self, file: JobFile) -> None:
        """Note where a file stands now; it is written within half a second."""
        self._pending[file.name] = file
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="job-journal")

    async def __aenter__(self) -> JobJournal:
        """Write nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is left; raises what prevented the writing."""
        self._closing.set()
        if self._writer is not None:
            await self._writer
        await self._charge()

    async def _charge(self) -> None:
        tokens, cost = self._receipt.as_json()["tokens"]["input"], self._receipt.cost_usd
        before, self._charged = self._charged, (tokens, cost)
        if self._charged != before:
            await self._catalog.spend(self.owner, tokens - before[0], cost - before[1])

    async def _write(self) -> None:
        """Write what waits, again and again until nothing does; what fails is raised at the end of the job."""
        while self._pending:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._closing.wait()
            except TimeoutError:
                pass
            some, self._pending = self._pending, {}
            await self._catalog.note_job_files(self.owner, list(some.values()))
            await self._charge()
        self._writer = None


def row_of(report: FileReport) -> JobFile:
    """Return the row of a file that is done with."""
    bad = report.outcome is Outcome.FAILED
    return JobFile(
        report.name,
        FileState.PARKED if bad else FileState.DONE,
        report.outcome,
        report.reason,
        report.attempts,
        report.chunks,
        report.embedded,
        report.kept,
        report.deleted,
    )


def report_of(row: JobFile) -> FileReport:
    """Return the report that a row was made of."""
    return FileReport(
        row.name, Outcome(row.outcome), row.reason, row.chunks, row.embedded, row.deleted, row.kept, row.attempts
    )


def failed_row(name: str, cause: RushhourError, attempts: int) -> JobFile:
    """Return the row of a file that is tried again."""
    return JobFile(name, FileState.FAILED, Outcome.FAILED, str(cause), attempts)
