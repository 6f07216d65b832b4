"""The vector store's hops: queries for people, writes for ingestion, each paced apart as the providers limit them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rushhour.assemble.ground import Ground
from rushhour.flow.batch import Batch
from rushhour.flow.call import Call, Hop, Policy, named, stack
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import one_request
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.contract import Delete, Match, Upsert, VectorQuery, VectorStore
from rushhour.hops.embedded_vectors import EmbeddedVectors
from rushhour.hops.pinecone import PineconeStore, pinecone_headers
from rushhour.settings import VectorSettings


@dataclass(frozen=True, slots=True)
class VectorHops:
    """The vector store with its policies: queries for people, writes for ingestion."""

    query: Hop[VectorQuery, list[Match]]
    upsert: Hop[Upsert, int]
    delete: Hop[Delete, None]


async def _embedded(ground: Ground) -> VectorStore:
    store = await EmbeddedVectors.open(ground.settings.data_dir / "vectors.sqlite3")
    ground.closing.push_async_callback(store.aclose)
    return store


async def _pinecone(ground: Ground) -> VectorStore:
    settings = ground.settings.vectors
    key = settings.api_key
    transport = AiohttpTransport(
        str(settings.base_url),
        pinecone_headers(key.get_secret_value() if key else ""),
        settings="RUSHHOUR_VECTORS",
    )
    store = PineconeStore(transport, settings.timeout_s)
    ground.closing.push_async_callback(store.aclose)
    return store


STORES: dict[str, Callable[[Ground], Awaitable[VectorStore]]] = {
    "embedded": _embedded,
    "pinecone": _pinecone,
}


def vector_hops(store: VectorStore, settings: VectorSettings, ground: Ground) -> VectorHops:
    """Put the policies round a vector store; upserts travel together."""

    async def ship(upserts: Sequence[Upsert], call: Call) -> Sequence[int]:
        return await _merged(store, upserts, call)

    batch: Batch[Upsert, int] = Batch(
        ship,
        *_policies("upsert", settings, ground, concurrency=4),
        max_items=1000,
        max_size=1_900_000,
        size=_bytes,
        watch=ground.watch,
        hop="upsert",
    )
    ground.closing.push_async_callback(batch.aclose)

    async def upsert(request: Upsert, call: Call) -> int:
        single = [Upsert(request.namespace, [record]) for record in request.records]
        return sum(await asyncio.gather(*(batch(one, call) for one in single)))

    query = _policies("retrieve", settings, ground, settings.concurrency)
    delete = _policies("delete", settings, ground, concurrency=4)
    return VectorHops(
        query=named(stack(store.query, Deadline(), *query), "retrieve"),
        upsert=named(stack(upsert, Deadline()), "upsert"),
        delete=named(stack(store.delete, Deadline(), *delete), "delete"),
    )


def _policies(hop: str, settings: VectorSettings, ground: Ground, concurrency: int) -> tuple[Policy, ...]:
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2), ground.chance())
    rpm = settings.qps * 60 if settings.qps else None
    pace, room = ground.pace(hop, settings, rpm, None, one_request, concurrency)
    return Retry(RetrySettings(circuit_patience_s=5.0), ground.chance()), breaker, pace, room, breaker.watch


def _bytes(upsert: Upsert) -> float:
    """Estimate one record's JSON: up to 13 characters a number, and its id and metadata."""
    return sum(13 * len(record.vector) + 2 * len(str(record.metadata)) + 100 for record in upsert.records)


async def _merged(store: VectorStore, upserts: Sequence[Upsert], call: Call) -> list[int]:
    """Write what travels together in one call a namespace."""
    by_namespace: dict[str, list[Any]] = {}
    for upsert in upserts:
        by_namespace.setdefault(upsert.namespace, []).extend(upsert.records)
    for namespace, records in by_namespace.items():
        await store.upsert(Upsert(namespace, records), call)
    return [len(upsert.records) for upsert in upserts]
