"""Documents into a collection: only what is new is embedded, and a file is visible whole or not at all.

For each file: read, compare, parse and cut (in a thread), embed what is new, write the vectors, flip the version,
delete the vectors that became stale. Doing it again changes nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from rushhour.catalog.contract import Catalog, Chunk, File
from rushhour.errors import (
    DeadlineExceeded,
    QuotaExhausted,
    RushhourError,
    SettingsError,
    Unauthorized,
    UnreadableDocument,
    UnsupportedFormat,
)
from rushhour.flow.call import Call, Event, Hop, Lane
from rushhour.hops.contract import Delete, Record, Text, Upsert, Vector
from rushhour.rag.chunk import Chunking, chunk, embedding_text, identified
from rushhour.rag.ingest_report import FileReport, Outcome, Progress, Summary
from rushhour.rag.parse import parse, supported
from rushhour.rag.receipt import Price, Receipt
from rushhour.rag.sources import Source

OnProgress = Callable[[Progress], None]

_HOPELESS: Final = (Unauthorized, QuotaExhausted, DeadlineExceeded, SettingsError)
"""What would befall every other file too."""
_RECORDS_AN_UPSERT: Final = 200


def _nobody(_progress: Progress) -> None:
    """Watch nothing."""


@dataclass(frozen=True, slots=True)
class IngestHops:
    """What an ingestion needs of the outside, each with its policies."""

    embed: Hop[Text, Vector]
    upsert: Hop[Upsert, int]
    delete: Hop[Delete, None]


class Ingester:
    """Ingests documents; `embedder` names what the vectors come from, and belongs to the collection for good.

    At most `files_at_once` files are open and `chunks_in_flight` chunks wait for their embedding at any moment.
    """

    def __init__(
        self,
        catalog: Catalog,
        hops: IngestHops,
        embedder: str,
        chunking: Chunking = Chunking(),
        prices: Mapping[str, Price] | None = None,
        *,
        files_at_once: int = 16,
        chunks_in_flight: int = 512,
    ) -> None:
        self._catalog = catalog
        self._hops = hops
        self._embedder = embedder
        self._chunking = chunking
        self._prices = prices or {}
        self._files_at_once = files_at_once
        self._chunks_in_flight = chunks_in_flight

    async def ingest(
        self, collection: str, sources: Iterable[Source], call: Call, on_progress: OnProgress = _nobody
    ) -> Summary:
        """Ingest all sources in the background lane; a file that fails does not stop the others.

        Raises InvalidRequest for a bad name or another embedder than the collection's. A wrong key, an empty account
        or a passed deadline gives up what is left; the summary says so.
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

        run = _Run(self, collection, listed, replace(call, lane=Lane.BACKGROUND, emit=note), on_progress)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._files_at_once, len(listed))):
                    workers.create_task(run.work())
        finally:
            if not existed and not await self._catalog.files(collection):
                await self._catalog.drop_collection(collection)  # nothing came of it
        tokens = receipt.as_json()["tokens"]["input"] or None
        return Summary(collection, run.reports(), loop.time() - began, tokens, receipt.cost_usd, run.given_up)
