"""Making a collection's vectors and its lexical index anew from its chunks, while questions are being answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from rushhour.catalog.contract import Chunk
from rushhour.errors import InvalidRequest, Rejected, RushhourError, TooLarge
from rushhour.flow.call import Call, Lane
from rushhour.hops.contract import Delete, Record, Upsert, Vector, VectorQuery
from rushhour.rag.chunking.chunk import embedding_text
from rushhour.rag.ingestion.backend import COLLECTION, Backend
from rushhour.rag.ingestion.ingest_file import RECORDS_AN_UPSERT, SLICES_AT_ONCE
from rushhour.rag.ingestion.room import Permits

CHUNKS_IN_FLIGHT: Final = 512
STRAYS: Final = 10_000
"""How many vectors that belong to no chunk are looked for at a time; providers return no more."""

OnReindexed = Callable[[int, int], None]
"""Told how many chunks have their vectors again, and of how many."""


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What rebuilding a collection's indexes took: `kept` vectors came from what was paid for, `embedded` were bought.

    `strays` are vectors that belonged to no visible chunk and were deleted.
    """

    chunks: int
    kept: int
    embedded: int
    strays: int


async def reindex(backend: Backend, collection: str, call: Call, on_reindexed: OnReindexed) -> Reindexed:
    """Rebuild in place: the lexical index in one transaction, then every vector is written over, then strays go.

    Raises UnknownCollection; InvalidRequest while the collection is being ingested into, or if it is of another
    embedder; and what the hops raise: doing it again goes on where it was as far as money is concerned.
    """
    async with backend.leases.hold(COLLECTION + collection) as alone:
        known = await backend.catalog.collection(collection)
        if not alone:
            raise InvalidRequest(busy(collection), param="collection")
        if known.embedder != backend.embedder:
            raise InvalidRequest(
                f"The collection {collection!r} was embedded with {known.embedder!r}, and the settings choose "
                f"{backend.embedder!r}. Choose the former (RUSHHOUR_EMBED__…), or ingest into a new collection.",
                param="collection",
            )
        work = _Work(backend, collection, structs.replace(call, lane=Lane.BACKGROUND), known.chunks, on_reindexed)
        await backend.catalog.rebuild_lexical(collection)
        await work.write_all()
        return Reindexed(work.written, work.written - work.bought, work.bought, await work.clear())


def busy(collection: str) -> str:
    """Say why something cannot be done, and when it can."""
    return (
        f"{collection} is being worked on by another command (`rushhour jobs` tells which); "
        "wait until it is done, or end it, then try again."
    )


class _Work:
    """The state of one rebuilding."""

    def __init__(self, backend: Backend, collection: str, call: Call, total: int, told: OnReindexed) -> None:
        self._backend = backend
        self._collection = collection
        self._call = call
        self._total = total
        self._told = told
        self._permits = Permits(CHUNKS_IN_FLIGHT)
        self._any: Vector | None = None
        self._failures: list[RushhourError] = []
        self.written = self.bought = 0

    async def write_all(self) -> None:
        """Write the vector of every chunk, some slices at a time."""
        turns = asyncio.Semaphore(SLICES_AT_ONCE)
        after = ""
        async with asyncio.TaskGroup() as group:
            while some := await self._backend.catalog.page(self._collection, after, RECORDS_AN_UPSERT):
                after = some[-1].id
                await turns.acquire()
                if self._failures:
                    break
                group.create_task(self._write(some)).add_done_callback(lambda _task: turns.release())
        if self._failures:
            raise self._failures[0]

    async def clear(self) -> int:
        """Delete what belongs to no chunk: what is known to, and what is found; return how many."""
        gone: set[str] = set()  # a store may go on finding for a while what was deleted
        for file, ids in (await self._backend.catalog.garbage(self._collection)).items():
            await self._backend.delete(Delete(self._collection, ids), self._call)
            await self._backend.catalog.release(self._collection, file, "", ids)
            gone.update(ids)
        while found := await self._strays(gone):
            await self._backend.delete(Delete(self._collection, found), self._call)
            gone.update(found)
        return len(gone)

    async def _write(self, chunks: Sequence[Chunk]) -> None:
        try:
            texts = [embedding_text(one) for one in chunks]
            vectors = await self._backend.embed.vectors(texts, self._call, self._permits, self._count)
            pairs = zip(chunks, vectors, strict=True)
            records = [Record(one.id, vector, {"file": one.file}) for one, vector in pairs]
            await self._backend.upsert(Upsert(self._collection, records), self._call)
        except RushhourError as cause:
            self._failures.append(cause)
            return
        self._any = vectors[0]
        self.written += len(chunks)
        self._told(self.written, self._total)

    def _count(self, bought: bool) -> None:
        self.bought += bought

    async def _strays(self, gone: Set[str]) -> list[str]:
        """Return ids that the store finds and the catalog does not know, apart from those that are deleted.

        A store cannot be asked for all it holds, but for more than there should be.
        """
        if self._any is None:
            return []
        for most in (self._total + STRAYS, STRAYS):
            try:
                query = VectorQuery(self._collection, self._any, most)
                found = [match.id for match in await self._backend.query(query, self._call)]
            except (Rejected, TooLarge):  # the provider returns fewer at a time
                continue
            visible = await self._backend.catalog.chunks(self._collection, found)
            return [one for one in found if one not in visible and one not in gone]
        return []
