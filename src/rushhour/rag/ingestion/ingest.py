"""Documents into a collection: only what is new is embedded, and a file is visible whole or not at all.

Many files at a time; one that fails does not stop the others. Doing it again changes nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence, Sized
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from secrets import token_hex

from msgspec import structs

from rushhour.catalog.contract import File
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call, Event, Lane
from rushhour.rag.documents.sources import Source, Sources
from rushhour.rag.ingestion.backend import COLLECTION, JOB, Backend
from rushhour.rag.ingestion.claims import Claims
from rushhour.rag.ingestion.ingest_file import Workshop
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Progress, Summary
from rushhour.rag.ingestion.ingest_run import OnProgress, Run
from rushhour.rag.ingestion.patience import Patience
from rushhour.rag.ingestion.room import ChunkRoom, Permits
from rushhour.rag.ingestion.sweep import Missing, compare, remove_missing, sweep
from rushhour.rag.jobs.journal import Journal, Unrecorded
from rushhour.rag.parse.pool import ParserPool
from rushhour.rag.receipt import Receipt


def watch_nothing(_progress: Progress) -> None:
    """Watch nothing."""


@dataclass(frozen=True, slots=True)
class Ingester:
    """Ingests documents: at most `files_at_once` are being read, and `chunks_in_flight` texts are being embedded.

    As many chunks again wait with their files, so that the embedder is never idle, and a killed process has at most
    `chunks_in_flight` texts to pay for twice: those whose vectors were on their way.
    """

    backend: Backend
    patience: Patience = field(default_factory=Patience)
    files_at_once: int = 16
    chunks_in_flight: int = 512

    async def ingest(
        self,
        collection: str,
        sources: Iterable[Source],
        call: Call,
        on_progress: OnProgress = watch_nothing,
        *,
        roots: Sequence[str] = (),
        journal: Journal | None = None,
    ) -> Summary:
        """Ingest all sources in the background lane; of two with the same name the second fails.

        Sources that can be counted are gone through several times, and not held; others are listed first.

        Visible files that were found in one of the `roots` (see `root_of`), of which all sources are given, and are not
        among them, leave the collection at the end. With a `journal` what was done before is not done again; who gives
        one holds the lease of its owner.

        Raises InvalidRequest for a bad name, another embedder than the collection's, or a collection that is being
        dropped or reindexed. A wrong key, an empty account, a wrong setting or a passed deadline gives up what is left,
        and the summary says so.
        """
        async with AsyncExitStack() as holding:
            if journal is None:
                journal = Unrecorded(f"unrecorded-{token_hex(8)}")
                await holding.enter_async_context(self.backend.leases.hold(JOB + journal.owner))
            if not await holding.enter_async_context(self.backend.leases.hold(COLLECTION + collection, shared=True)):
                raise InvalidRequest(
                    f"{collection} is being dropped or reindexed by another command; try again when that is done.",
                    param="collection",
                )
            existed = await self.backend.catalog.check_collection(collection, self.backend.embedder) is not None
            listed = sources if isinstance(sources, Sized) else await asyncio.to_thread(tuple, sources)
            try:
                return await self._ingest(collection, listed, call, on_progress, roots, journal)
            finally:
                await holding.aclose()
                if not existed:
                    await self._drop_if_empty(collection)

    async def _drop_if_empty(self, collection: str) -> None:
        """Do not leave behind what came to nothing, unless somebody else is at work there."""
        catalog = self.backend.catalog
        async with self.backend.leases.hold(COLLECTION + collection) as alone:
            empty = collection in {known.name for known in await catalog.collections() if not known.files}
            if alone and empty and not await catalog.garbage(collection):
                await catalog.drop_collection(collection)

    async def _ingest(
        self,
        collection: str,
        sources: Sources,
        call: Call,
        on_progress: OnProgress,
        roots: Sequence[str],
        journal: Journal,
    ) -> Summary:
        loop = asyncio.get_running_loop()
        began = loop.time()
        catalog = self.backend.catalog
        await catalog.ensure_collection(collection, self.backend.embedder)
        compared = await compare(catalog, collection, sources, roots)
        missing = Missing.of(compared.missing)
        receipt = Receipt(self.backend.prices)
        run = Run(sources, journal, self.patience, on_progress, compared.repeated)
        parsers = ParserPool()
        shop = self._workshop(collection, _listened(call, receipt), missing, run, parsers, journal)
        removed: list[File] = []
        deleted = 0
        try:
            if (failure := await sweep(shop)) is not None:
                run.give_up_if_hopeless(failure)
            await run.work(shop)
            if not run.given_up and not run.passed_over:
                # What could not move stays under its old name: it would be visible under none.
                gone = [file for file in missing.files if file.name not in shop.moving]
                removed, deleted = await remove_missing(shop, gone)
            await sweep(shop)  # what is left is counted below
        finally:
            await parsers.aclose()
        return Summary(
            collection,
            run.reports,
            loop.time() - began,
            receipt.as_json()["tokens"]["input"] or None,
            receipt.cost_usd,
            run.given_up,
            removed=tuple(file.name for file in removed),
            renamed=await self._renamed(collection, removed, run.reports),
            chunks_removed=deleted,
            left_over=sum(map(len, (await catalog.garbage(collection)).values())),
        )

    def _workshop(
        self, collection: str, call: Call, missing: Missing, run: Run, parsers: ParserPool, journal: Journal
    ) -> Workshop:
        return Workshop(
            backend=self.backend,
            claims=Claims(self.backend, collection, journal.owner),
            collection=collection,
            call=call,
            reading=asyncio.Semaphore(self.files_at_once),
            room=ChunkRoom(2 * self.chunks_in_flight),
            permits=Permits(self.chunks_in_flight),
            on_found=run.found,
            on_embedded=run.embedded,
            moved=missing.moved,
            parse=parsers,
        )

    async def _renamed(
        self, collection: str, removed: Sequence[File], reports: Sequence[FileReport]
    ) -> tuple[tuple[str, str], ...]:
        """Pair the files that are gone with the new ones that have the same bytes."""
        gone = {file.content: file.name for file in removed if file.content}
        pairs: list[tuple[str, str]] = []
        for report in reports if gone else ():
            if report.outcome is Outcome.NEW:
                file = await self.backend.catalog.file(collection, report.name)
                if file is not None and (old := gone.pop(file.content, "")):
                    pairs.append((old, report.name))
        return tuple(pairs)


def _listened(call: Call, receipt: Receipt) -> Call:
    """Listen to what an ingestion costs; whoever called hears it too."""

    def note(event: Event) -> None:
        receipt.record(event)
        call.emit(event)

    return structs.replace(call, lane=Lane.BACKGROUND, emit=note)
