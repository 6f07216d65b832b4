"""The same pass as an ingestion's, without writing and without embedding."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from rushhour.catalog.contract import Chunk
from rushhour.catalog.kept_vectors import digest_of
from rushhour.errors import RushhourError, UnsupportedFormat
from rushhour.rag.chunking.chunk import embedding_text
from rushhour.rag.documents.listing import Listing
from rushhour.rag.documents.sources import Source, Sources
from rushhour.rag.ingestion.backend import Backend
from rushhour.rag.ingestion.ingest_file import carry_over, cut, new_chunks, read_version
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Progress
from rushhour.rag.ingestion.ingest_run import OnProgress
from rushhour.rag.ingestion.reports import Reports
from rushhour.rag.ingestion.sweep import Missing, compare
from rushhour.rag.jobs.plan import Plan
from rushhour.rag.parse.pool import ParserPool

FILES_AT_ONCE = 8


async def plan(backend: Backend, collection: str, listing: Listing, on_progress: OnProgress) -> Plan:
    """Say what ingesting a listing would do and cost; the collection need not exist.

    Raises InvalidRequest for a bad name or another embedder than the collection's, as ingesting would.
    """
    exists = await backend.catalog.check_collection(collection, backend.embedder) is not None
    compared = await compare(backend.catalog, collection, listing.sources, listing.roots) if exists else None
    missing = Missing.of(compared.missing if compared else ())
    async with ParserPool() as parsers:
        pass_ = _Pass(backend, collection if exists else "", collection, listing.sources, missing, parsers, on_progress)
        async with asyncio.TaskGroup() as group:
            for _ in range(FILES_AT_ONCE):
                group.create_task(pass_.work())
    price = sum(one.input for one in backend.prices.values())
    return Plan(
        collection, pass_.reports, tuple(file.name for file in missing.files), pass_.tokens, pass_.tokens * price / 1e6
    )


class _Pass:
    """The state of one dry run; `known` is the collection if it exists."""

    def __init__(
        self,
        backend: Backend,
        known: str,
        collection: str,
        sources: Sources,
        missing: Missing,
        parsers: ParserPool,
        on_progress: OnProgress,
    ) -> None:
        self._backend = backend
        self._known = known
        self._collection = collection
        self._missing = missing
        self._parsers = parsers
        self._on_progress = on_progress
        self._total = len(sources)
        self._queue = enumerate(sources)
        self.reports: Final = Reports(sources)
        self._names: set[str] = set()
        self._seen: set[bytes] = set()
        self._chunks = 0
        self.tokens = 0

    async def work(self) -> None:
        """Take file after file."""
        for place, source in self._queue:
            report = await self._report(source)
            self.reports.put(place, report)
            done = len(self.reports)
            self._on_progress(Progress(done, self._total, self._chunks, 0, source.name, report.outcome))

    async def _report(self, source: Source) -> FileReport:
        if source.name in self._names:
            reason = f"another file here is named {source.name} too; ingest the folder that holds both."
            return FileReport(source.name, Outcome.FAILED, reason)
        self._names.add(source.name)
        try:
            return await self._compare(source)
        except UnsupportedFormat as cause:
            return FileReport(source.name, Outcome.FAILED if source.asked_for else Outcome.SKIPPED, str(cause))
        except RushhourError as cause:
            return FileReport(source.name, Outcome.FAILED, str(cause))

    async def _compare(self, source: Source) -> FileReport:
        version = await read_version(self._backend, source)
        catalog = self._backend.catalog
        before = await catalog.file(self._known, source.name) if self._known else None
        if before and before.fingerprint == version.fingerprint:
            return FileReport(source.name, Outcome.UNCHANGED, chunks=before.chunks)
        _, chunks = await cut(self._backend, self._collection, version, self._parsers)
        new = await new_chunks(catalog, self._known, chunks) if self._known else chunks
        texts = await self._to_buy(new, "" if before else self._missing.moved(version.content))
        self._chunks += len(texts)
        tokens = await asyncio.to_thread(self._count, texts)
        self.tokens += tokens  # read only now: files are compared together
        outcome = Outcome.CHANGED if before else Outcome.NEW
        return FileReport(source.name, outcome, chunks=len(chunks), embedded=len(texts), kept=len(new) - len(texts))

    async def _to_buy(self, chunks: Sequence[Chunk], old_name: str) -> list[str]:
        """Return the texts whose vectors are not kept and that no other file of this pass would buy."""
        texts = {digest_of(text): text for text in map(embedding_text, chunks)}
        fresh = [text for digest, text in texts.items() if digest not in self._seen]
        self._seen.update(texts)
        same = await carry_over(self._backend, self._known, old_name, chunks) if old_name else {}
        paid = await self._backend.embed.known([*fresh, *same.values()])
        return [text for text in fresh if text not in paid and same.get(text, "") not in paid]

    def _count(self, texts: Sequence[str]) -> int:
        return sum(self._backend.chunking.count(text) for text in texts)
