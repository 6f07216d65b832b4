"""One ingestion: whose turn it is, what became of each file, which are tried again, and how far it all is."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from rushhour.catalog.job_contract import FileState
from rushhour.errors import RushhourError, UnsupportedFormat
from rushhour.rag.documents.sources import Source
from rushhour.rag.ingestion.claims import Taken
from rushhour.rag.ingestion.ingest_file import Workshop, ingest_file
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Progress
from rushhour.rag.ingestion.patience import HOPELESS, Patience
from rushhour.rag.jobs.journal import Journal, failed_row, report_of, row_of

OnProgress = Callable[[Progress], None]


class Run:
    """Takes the sources one after the other, as many at a time as there are workers."""

    def __init__(
        self, sources: Sequence[Source], journal: Journal, patience: Patience, on_progress: OnProgress
    ) -> None:
        self._sources = sources
        self._journal = journal
        self._patience = patience
        self._on_progress = on_progress
        self._fresh = iter(range(len(sources)))
        self._later: list[tuple[float, int]] = []
        """When which source is tried again, in seconds of the loop."""
        self._attempts: dict[int, int] = {}
        self._reports: dict[int, FileReport] = {}
        self._places: dict[str, int] = {}
        self._rng = random.Random()
        self._chunks = self._embedded = 0
        self._paid: Counter[str] = Counter()
        """What was bought for a file that is not done yet, in all its attempts."""
        self.given_up = ""
        self._hopeless = asyncio.Event()
        """Set when what is left is given up."""

    async def work(self, shop: Workshop) -> None:
        """Take file after file, and those to be tried again when their time has come, until none is left."""
        for place in self._fresh:
            await self._take(shop, place)
        while self._later:
            due, place = heapq.heappop(self._later)
            await self._until(due)
            await self._take(shop, place)

    def reports(self) -> tuple[FileReport, ...]:
        """Return what became of each file, in the order given."""
        return tuple(self._reports[place] for place in sorted(self._reports))

    def found(self, file: str, chunks: int) -> None:
        """Note that a file has new chunks."""
        self._chunks += chunks
        self._tell(file)

    def embedded(self, file: str, paid: bool) -> None:
        """Note that one of them has its vector."""
        self._embedded += 1
        self._paid[file] += paid
        self._tell(file)

    def give_up_if_hopeless(self, cause: RushhourError) -> bool:
        """Give up what is left if it would fail alike."""
        hopeless = isinstance(cause, HOPELESS)
        if hopeless and not self.given_up:
            self.given_up = str(cause)
            self._hopeless.set()
        return hopeless

    async def _until(self, due: float) -> None:
        """Wait for a moment of the loop's time, but no longer than there is hope."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._hopeless.wait()

    async def _take(self, shop: Workshop, place: int) -> None:
        source = self._sources[place]
        report = self._without_trying(place, source) or await self._try(shop, place, source)
        if report is not None:
            self._reports[place] = report
            self._tell(source.name, report.outcome)

    def _without_trying(self, place: int, source: Source) -> FileReport | None:
        """Return what is known of a file before it is touched: it stays parked, for instance."""
        if self._places.setdefault(source.name, place) != place:
            reason = f"another file here is named {source.name} too; ingest the folder that holds both."
            return FileReport(source.name, Outcome.FAILED, reason)
        if self.given_up:
            return FileReport(source.name, Outcome.NOT_TRIED, self.given_up)
        row = self._journal.recorded(source.name)
        if row is None:
            return None
        self._attempts.setdefault(place, row.attempts if row.state is FileState.FAILED else 0)
        fetched = row.state is FileState.DONE and source.fetch is not None  # a page is asked for once a job
        return report_of(row) if row.state is FileState.PARKED or fetched else None

    async def _try(self, shop: Workshop, place: int, source: Source) -> FileReport | None:
        """Ingest a file; None if it is to be tried again later."""
        attempt = self._attempts.get(place, 0) + 1
        try:
            report, left_over = await ingest_file(shop, source)
        except Taken:
            self._try_later(place, self._patience.taken_s)
            return None
        except UnsupportedFormat as cause:
            outcome = Outcome.FAILED if source.asked_for else Outcome.SKIPPED
            return self._settled(FileReport(source.name, outcome, str(cause)), attempt)
        except RushhourError as cause:
            return self._failed(place, source, attempt, cause)
        if left_over is not None:
            self.give_up_if_hopeless(left_over)
        return self._settled(report, attempt)

    def _failed(self, place: int, source: Source, attempt: int, cause: RushhourError) -> FileReport | None:
        if self.give_up_if_hopeless(cause):
            self._journal.note(failed_row(source.name, cause, attempt - 1))  # not the file's own fault
            return FileReport(source.name, Outcome.FAILED, str(cause), embedded=self._paid.pop(source.name, 0))
        wait = self._patience.wait(attempt, cause, self._rng)
        if wait is None:
            return self._settled(FileReport(source.name, Outcome.FAILED, str(cause)), attempt)
        self._attempts[place] = attempt
        self._journal.note(failed_row(source.name, cause, attempt))
        self._try_later(place, wait)
        return None

    def _settled(self, report: FileReport, attempt: int) -> FileReport:
        """Note the end of a file; one that was done before its process died is what it was then."""
        row = self._journal.recorded(report.name)
        if report.outcome is Outcome.UNCHANGED and row is not None and row.state is FileState.DONE:
            return report_of(row)
        paid = self._paid.pop(report.name, 0)
        earlier = paid - report.embedded
        report = replace(report, embedded=paid, kept=max(0, report.kept - earlier), attempts=attempt)
        self._journal.note(row_of(report))
        return report

    def _try_later(self, place: int, wait: float) -> None:
        heapq.heappush(self._later, (asyncio.get_running_loop().time() + wait, place))

    def _tell(self, file: str, outcome: Outcome | None = None) -> None:
        done = len(self._reports)
        self._on_progress(Progress(done, len(self._sources), self._chunks, self._embedded, file, outcome))
