"""A house to ingest into: a catalog, a vector store, kept embeddings, and a provider that remembers and fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from rushhour.catalog.kept_vectors import KeptVectors
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Lane
from rushhour.hops.contract import Delete, Text, Upsert, Usage, Used, Vector, VectorQuery
from rushhour.hops.embedded_vectors import EmbeddedVectors
from rushhour.rag.chunking.chunk import Chunking
from rushhour.rag.ingestion.backend import Backend
from rushhour.rag.ingestion.ingest import Ingester
from rushhour.rag.ingestion.paid_embed import PaidEmbed
from rushhour.rag.ingestion.patience import Patience
from rushhour.rag.jobs.jobs import Jobs
from rushhour.rag.jobs.leases import Leases
from rushhour.rag.receipt import Price

IN_FLIGHT = 8
SMALL = Chunking(size=60, overlap=10)


def vector_of(text: str) -> Vector:
    """Embed deterministically: the same text, the same unit vector."""
    row = np.random.default_rng(list(sha256(text.encode()).digest())).standard_normal(16).astype(np.float32)
    return row / np.linalg.norm(row)


@dataclass
class Provider:
    """An embedding provider that remembers what it was asked, and fails where it is told to."""

    asked: Counter[str] = field(default_factory=Counter)
    fail: Callable[[str], RushhourError | None] = lambda _text: None
    hold: asyncio.Event | None = None
    lanes: set[Lane] = field(default_factory=set)
    at_once: int = 0
    peak: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: Text, call: Call) -> Vector:
        self.asked[request.text] += 1
        self.lanes.add(call.lane)
        self.at_once += 1
        self.peak = max(self.peak, self.at_once)
        if self.at_once == IN_FLIGHT:
            self.full.set()
        try:
            await (self.hold.wait() if self.hold else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        if error := self.fail(request.text):
            raise error
        call.emit(Used("embed", "model", Usage(input_tokens=10)))
        return vector_of(request.text)


@dataclass
class House:
    """A catalog, a vector store, a provider, and an ingester over them."""

    catalog: SqliteCatalog
    vectors: EmbeddedVectors
    kept: KeptVectors
    leases: Leases
    provider: Provider
    folder: Path
    upserts: list[Upsert] = field(default_factory=list)
    delete_error: RushhourError | None = None
    upsert_error: RushhourError | None = None

    def jobs(self, chunking: Chunking = SMALL, embedder: str = "model", at_once: int = 4) -> Jobs:
        """Make the jobs of one process over it."""
        return Jobs(self.ingester(chunking, embedder, at_once), self.folder / "spool")

    def ingester(self, chunking: Chunking = SMALL, embedder: str = "model", at_once: int = 4) -> Ingester:
        """Make an ingester; small chunks, so that small files have several."""
        backend = Backend(
            self.catalog,
            self.upsert,
            self.delete,
            self.vectors.query,
            PaidEmbed(self.provider, embedder, self.kept),
            chunking,
            self.leases,
            {"model": Price(2.0)},
        )
        return Ingester(
            backend,
            Patience(first_s=0.001, taken_s=0.01),
            files_at_once=at_once,
            chunks_in_flight=at_once * IN_FLIGHT // 4,
        )

    async def upsert(self, request: Upsert, call: Call) -> int:
        if self.upsert_error:
            raise self.upsert_error
        self.upserts.append(request)
        return await self.vectors.upsert(request, call)

    async def delete(self, request: Delete, call: Call) -> None:
        if self.delete_error:
            raise self.delete_error
        await self.vectors.delete(request, call)

    async def visible(self) -> set[str]:
        """Return the ids of all visible chunks, having checked that exactly they have vectors."""
        ids: set[str] = set()
        for one in await self.catalog.files("docs"):
            ids |= await self.catalog.chunk_ids("docs", one.name)
        assert await self.stored() == ids
        return ids

    async def stored(self, collection: str = "docs") -> set[str]:
        """Return the ids of all vectors of a collection."""
        query = VectorQuery(collection, vector_of("anything"), 10_000)
        return {match.id for match in await self.vectors.query(query, Call())}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give an empty house."""
    catalog = await SqliteCatalog.open(tmp_path / "data" / "catalog.sqlite3")
    vectors = await EmbeddedVectors.open(tmp_path / "data" / "vectors.sqlite3")
    kept = await KeptVectors.open(tmp_path / "data" / "embeddings.sqlite3")
    yield House(catalog, vectors, kept, Leases(tmp_path / "data" / "locks"), Provider(), tmp_path / "data")
    await kept.aclose()
    await vectors.aclose()
    await catalog.aclose()
