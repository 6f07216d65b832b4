"""Documents into a collection: only what is new is embedded, and a file is visible whole or not at all.

Many files at a time; one that fails does not stop the others. Doing it again changes nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from rushhour.catalog.contract import Catalog
from rushhour.errors import (
    DeadlineExceeded,
    QuotaExhausted,
    RushhourError,
    SettingsError,
    Unauthorized,
    UnsupportedFormat,
)
from rushhour.flow.call import Call, Event, Hop, Lane
from rushhour.hops.contract import Delete, Text, Upsert, Vector
from rushhour.rag.chunk import Chunking
from rushhour.rag.ingest_file import Workshop, ingest_file
from rushhour.rag.ingest_report import FileReport, Outcome, Progress, Summary
from rushhour.rag.parse.pool import ParserPool
from rushhour.rag.receipt import Price, Receipt
from rushhour.rag.sources import Source

OnProgress = Callable[[Progress], None]

HOPELESS: Final = (Unauthorized, QuotaExhausted, DeadlineExceeded, SettingsError)
"""What would befall every other file too: the ingestion is given up."""


def _nobody(_progress: Progress) -> None:
    """Watch nothing."""


class Ingester:
    """Ingests documents; `embedder` names what the vectors come from, and belongs to a collection for good.

    `upsert`, `delete` and `embed` are hops with their policies; `embed` takes one text, for whoever packs many into
    a call stands behind it. At most `files_at_once` files are open and `chunks_in_flight` chunks are being embedded.
    """

    def __init__(
        self,
        catalog: Catalog,
        upsert: Hop[Upsert, int],
        delete: Hop[Delete, None],
        embed: Hop[Text, Vector],
        chunking: Chunking,
        embedder: str,
        prices: Mapping[str, Price] | None = None,
        *,
        files_at_once: int = 16,
        chunks_in_flight: int = 512,
    ) -> None:
        self._catalog = catalog
        self._upsert = upsert
        self._delete = delete
        self._embed = embed
        self._chunking = chunking
        self._embedder = embedder
        self._prices = prices or {}
        self._files_at_once = files_at_once
        self._chunks_in_flight = chunks_in_flight

    async def ingest(
        self, collection: str, sources: Iterable[Source], call: Call, on_progress: OnProgress = _nobody
    ) -> Summary:
        """Ingest all sources in the background lane; of two with the same name the second fails.

        Raises InvalidRequest for a bad name or another embedder than the collection's. A wrong key, an empty account,
        a wrong setting or a passed deadline gives up what is left, and the summary says so.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        listed = await asyncio.to_thread(list, sources)
        existed = collection in {known.name for known in await self._catalog.collections()}
        await self._catalog.ensure_collection(collection, self._embedder)
        receipt = Receipt(self._prices)

        def note(event: Event) -> None:
            receipt.record(event)
            call.emit(event)

        run = _Run(listed, on_progress)
        parsers = ParserPool()
        workshop = Workshop(
            catalog=self._catalog,
            upsert=self._upsert,
            delete=self._delete,
            embed=self._embed,
            chunking=self._chunking,
            embedder=self._embedder,
            collection=collection,
            call=replace(call, lane=Lane.BACKGROUND, emit=note),
            permits=asyncio.Semaphore(self._chunks_in_flight),
            on_found=run.found,
            on_embedded=run.embedded,
            parse=parsers,
        )
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._files_at_once, len(listed))):
                    workers.create_task(run.work(workshop))
        finally:
            await parsers.aclose()
            if not existed and not await self._catalog.files(collection):
                await self._catalog.drop_collection(collection)  # nothing came of it
        tokens = receipt.as_json()["tokens"]["input"] or None
        return Summary(collection, run.reports(), loop.time() - began, tokens, receipt.cost_usd, run.given_up)


class _Run:
    """One ingestion: whose turn it is, what became of each file, and how far it all is."""

    def __init__(self, sources: Sequence[Source], on_progress: OnProgress) -> None:
        self._sources = sources
        self._queue = iter(range(len(sources)))
        self._reports: dict[int, FileReport] = {}
        self._names: set[str] = set()
        self._on_progress = on_progress
        self._chunks = self._embedded = 0
        self.given_up = ""

    async def work(self, workshop: Workshop) -> None:
        """Take file after file until none is left."""
        for place in self._queue:
            source = self._sources[place]
            report = await self._report(workshop, source)
            self._reports[place] = report
            self._tell(source.name, report.outcome)

    def reports(self) -> tuple[FileReport, ...]:
        """Return what became of each file, in the order given."""
        return tuple(self._reports[place] for place in sorted(self._reports))

    def found(self, file: str, chunks: int) -> None:
        """Note that a file has chunks to embed."""
        self._chunks += chunks
        self._tell(file)

    def embedded(self, file: str) -> None:
        """Note that one of them is embedded."""
        self._embedded += 1
        self._tell(file)

    async def _report(self, workshop: Workshop, source: Source) -> FileReport:
        if self.given_up:
            return FileReport(source.name, Outcome.NOT_TRIED, self.given_up)
        if source.name in self._names:
            reason = f"another file here is named {source.name} too; ingest the folder that holds both."
            return FileReport(source.name, Outcome.FAILED, reason)
        self._names.add(source.name)
        try:
            report, left_over = await ingest_file(workshop, source)
        except UnsupportedFormat as cause:
            return FileReport(source.name, Outcome.FAILED if source.asked_for else Outcome.SKIPPED, str(cause))
        except RushhourError as cause:
            self._give_up_if_hopeless(cause)
            return FileReport(source.name, Outcome.FAILED, str(cause))
        if left_over is not None:
            self._give_up_if_hopeless(left_over)
        return report

    def _give_up_if_hopeless(self, cause: RushhourError) -> None:
        if isinstance(cause, HOPELESS) and not self.given_up:
            self.given_up = str(cause)

    def _tell(self, file: str, outcome: Outcome | None = None) -> None:
        done = len(self._reports)
        self._on_progress(Progress(done, len(self._sources), self._chunks, self._embedded, file, outcome))
