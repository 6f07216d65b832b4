"""One ingestion: whose turn it is, what became of each file, which are tried again, and how far it all is."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Set
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Final

from rushhour.catalog.job_contract import FileState, JobFile
from rushhour.errors import RushhourError, UnsupportedFormat
from rushhour.rag.documents.sources import Source, Sources
from rushhour.rag.ingestion.claims import Taken
from rushhour.rag.ingestion.ingest_file import Workshop, ingest_file
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Progress
from rushhour.rag.ingestion.patience import HOPELESS, Patience
from rushhour.rag.ingestion.reports import Reports
from rushhour.rag.jobs.journal import Journal, failed_row, report_of, row_of

OnProgress = Callable[[Progress], None]


class Run:
    """Takes the sources one after the other, each as soon as there is room to read another.

    A source at one of the places `repeated` has the name of another before it, and fails.
    """

    def __init__(
        self,
        sources: Sources,
        journal: Journal,
        patience: Patience,
        on_progress: OnProgress,
        repeated: Set[int] = frozenset(),
    ) -> None:
        self._journal = journal
        self._patience = patience
        self._on_progress = on_progress
        self._repeated = repeated
        self._total = len(sources)
        self._fresh = enumerate(sources)
        self._later: list[tuple[float, int, Source]] = []
        """When which source is tried again, in seconds of the loop."""
        self._attempts: dict[int, int] = {}
        self.reports: Final = Reports(sources)
        self._rng = random.Random()
        self._chunks = self._embedded = 0
        self._paid: Counter[str] = Counter()
        """What was bought for a file that is not done yet, in all its attempts."""
        self.given_up = ""
        self.passed_over = False
        """Whether a file stayed parked: nobody has looked what it holds, which may be a file that is gone elsewhere."""
        self._at_work = 0
        self._one_less = asyncio.Event()
        """Set when a file is no longer worked on: it may have to be tried again, or all be given up."""

    async def work(self, shop: Workshop) -> None:
        """Take file after file, then those to be tried again when their time has come, until none is left."""
        async with asyncio.TaskGroup() as files:
            while (turn := await self._turn()) is not None:
                await shop.reading.acquire()
                self._at_work += 1
                files.create_task(self._take(shop, *turn))

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
        return hopeless

    async def _turn(self) -> tuple[int, Source] | None:
        """Wait until it is a source's turn, and return it with its place; None when all is done."""
        if (fresh := next(self._fresh, None)) is not None:
            return fresh
        while self._later or self._at_work:
            due = self._later[0][0] if self._later else None
            if due is not None and (self.given_up or due <= asyncio.get_running_loop().time()):
                return heapq.heappop(self._later)[1:]
            self._one_less.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._one_less.wait()
        return None

    async def _take(self, shop: Workshop, place: int, source: Source) -> None:
        with ExitStack() as reading:
            reading.callback(shop.reading.release)
            report = await self._report(shop, place, source, reading)
        if report is not None:
            self._attempts.pop(place, None)
            self.reports.put(place, report)
            self._tell(source.name, report.outcome)
        self._at_work -= 1
        self._one_less.set()

    async def _report(self, shop: Workshop, place: int, source: Source, reading: ExitStack) -> FileReport | None:
        """Return what has become of a file; None if it is to be tried again later."""
        report = self._without_a_turn(place, source)
        if report is None:
            try:
                row = await self._journal.recorded(source.name)
            except RushhourError as cause:
                return self._failed(place, source, self._attempts.get(place, 0) + 1, cause)
            report = self._known(place, source, row) or await self._try(shop, place, source, row, reading)
        return report

    def _without_a_turn(self, place: int, source: Source) -> FileReport | None:
        """Return why a file has no turn."""
        if place in self._repeated:
            reason = f"another file here is named {source.name} too; ingest the folder that holds both."
            return FileReport(source.name, Outcome.FAILED, reason)
        if self.given_up:
            return FileReport(source.name, Outcome.NOT_TRIED, self.given_up)
        return None

    def _known(self, place: int, source: Source, row: JobFile | None) -> FileReport | None:
        """Return what became of a file before, if it is not touched again: it stays parked, for instance."""
        if row is None:
            return None
        self._attempts.setdefault(place, row.attempts if row.state is FileState.FAILED else 0)
        fetched = row.state is FileState.DONE and source.fetch is not None  # a page is asked for once a job
        self.passed_over |= row.state is FileState.PARKED
        return report_of(row) if row.state is FileState.PARKED or fetched else None

    async def _try(
        self, shop: Workshop, place: int, source: Source, row: JobFile | None, reading: ExitStack
    ) -> FileReport | None:
        attempt = self._attempts.get(place, 0) + 1
        try:
            report, left_over = await ingest_file(shop, source, reading)
        except Taken:
            self._try_later(place, source, self._patience.taken_s)
            return None
        except UnsupportedFormat as cause:
            outcome = Outcome.FAILED if source.asked_for else Outcome.SKIPPED
            return self._settled(FileReport(source.name, outcome, str(cause)), attempt)
        except RushhourError as cause:
            return self._failed(place, source, attempt, cause)
        if left_over is not None:
            self.give_up_if_hopeless(left_over)
        if report.outcome is Outcome.UNCHANGED and row is not None and row.state is FileState.DONE:
            return report_of(row)  # it was done before its process died, and is what it was then
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
        self._try_later(place, source, wait)
        return None

    def _settled(self, report: FileReport, attempt: int) -> FileReport:
        """Note the end of a file."""
        paid = self._paid.pop(report.name, 0)
        earlier = paid - report.embedded
        report = replace(report, embedded=paid, kept=max(0, report.kept - earlier), attempts=attempt)
        self._journal.note(row_of(report))
        return report

    def _try_later(self, place: int, source: Source, wait: float) -> None:
        heapq.heappush(self._later, (asyncio.get_running_loop().time() + wait, place, source))

    def _tell(self, file: str, outcome: Outcome | None = None) -> None:
        self._on_progress(Progress(len(self.reports), self._total, self._chunks, self._embedded, file, outcome))
