"""Pinecone's data plane (the Vectors API): upsert in bulk, query, delete, statistics."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec
import numpy as np

from rushhour.errors import MalformedReply, QuotaExhausted, Rejected, TooLarge, UpstreamError
from rushhour.flow.call import Call
from rushhour.hops.complaint import read_complaint
from rushhour.hops.contract import Delete, Match, NamespaceStats, Record, Upsert, Vector, VectorQuery
from rushhour.hops.http_errors import provider_error
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.transport import JSON_HEADERS, Reply, Transport

API_VERSION = "2025-10"
MAX_RECORDS = 1_000
MAX_BYTES = 2_000_000
MAX_IDS = 1_000
MAX_TOP_K = 10_000

_BREATH: Final = 32
"""Records encoded between two looks at the loop: about a millisecond."""

_DIMENSION: Final = re.compile(r"dimension", re.IGNORECASE)
_ENCODER: Final = msgspec.json.Encoder()
T = TypeVar("T")


def pinecone_headers(api_key: str, version: str = API_VERSION) -> dict[str, str]:
    """Return the headers that every request carries; give them to the transport."""
    return {"Api-Key": api_key, "X-Pinecone-Api-Version": version}


class _Upserted(msgspec.Struct, rename="camel"):
    upserted_count: int


class _Hit(msgspec.Struct):
    id: str
    score: float = 0.0


class _Hits(msgspec.Struct):
    matches: list[_Hit]


class _NamespaceSummary(msgspec.Struct, rename="camel"):
    vector_count: int = 0


class _IndexStats(msgspec.Struct):
    namespaces: dict[str, _NamespaceSummary] = {}


class PineconeStore:
    """One index of Pinecone, or of anything that speaks its data plane; the transport's URL is the index host.

    Writes become visible to queries a little later (seconds, usually less). Upserts are split at 1,000 records
    and 2 MB of encoded body, deletes at 1,000 ids, and sent one after the other: they are idempotent, so a
    retry of the whole is safe. `top_k` above 10,000 is cut to that.
    """

    def __init__(self, transport: Transport, timeout_s: float = 10.0) -> None:
        self._transport = transport
        self._timeout_s = timeout_s

    async def upsert(self, request: Upsert, call: Call) -> int:
        """Write records, in as few calls as the store allows; return how many were written."""
        written = 0
        async with aclosing(self._upsert_bodies(request)) as bodies:
            async for body in bodies:
                written += (await self._post("/vectors/upsert", body, _Upserted, call)).upserted_count
        return written

    async def query(self, request: VectorQuery, call: Call) -> list[Match]:
        """Return the nearest records, best first."""
        body: dict[str, object] = {
            "topK": min(request.top_k, MAX_TOP_K),
            "includeValues": False,
            "includeMetadata": False,
            "namespace": request.namespace,
            "vector": _numbers(request.vector),
        }
        if request.filter:
            body["filter"] = request.filter
        hits = (await self._post("/query", _ENCODER.encode(body), _Hits, call)).matches
        if not all(math.isfinite(hit.score) for hit in hits):
            raise MalformedReply(f"{self._transport.peer.host} answered a query with a score that is no number.")
        return [Match(hit.id, hit.score) for hit in sorted(hits, key=lambda hit: -hit.score)]

    async def delete(self, request: Delete, call: Call) -> None:
        """Delete ids; unknown ids are no error."""
        if request.ids is None:
            await self._delete({"deleteAll": True, "namespace": request.namespace}, call)
            return
        for start in range(0, len(request.ids), MAX_IDS):
            some = list(request.ids[start : start + MAX_IDS])
            await self._delete({"ids": some, "namespace": request.namespace}, call)

    async def stats(self, request: str, call: Call) -> NamespaceStats:
        """Count one namespace (Pinecone's count lags behind its writes)."""
        found = (await self._post("/describe_index_stats", b"{}", _IndexStats, call)).namespaces.get(request)
        return NamespaceStats(request, found.vector_count if found else 0)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _upsert_bodies(self, request: Upsert) -> AsyncGenerator[bytes, None]:
        head = b'{"namespace":' + _ENCODER.encode(request.namespace) + b',"vectors":['
        batch: list[bytes] = []
        size = 0
        for position, record in enumerate(request.records):
            if position % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            encoded = _encoded(record)
            if len(head) + len(encoded) + 2 > MAX_BYTES:
                raise TooLarge(f"The record {record.id!r} is {len(encoded):,} bytes; an upsert takes {MAX_BYTES:,}.")
            if len(batch) == MAX_RECORDS or len(head) + size + len(encoded) + 2 > MAX_BYTES:
                yield head + b",".join(batch) + b"]}"
                batch, size = [], 0
            batch.append(encoded)
            size += len(encoded) + 1
        if batch:
            yield head + b",".join(batch) + b"]}"

    async def _delete(self, body: Mapping[str, object], call: Call) -> None:
        reply = await self._send("/vectors/delete", _ENCODER.encode(body), call)
        if not reply.ok and not _no_such_namespace(reply):
            raise self._error(reply)

    async def _post(self, path: str, body: bytes, kind: type[T], call: Call) -> T:
        reply = await self._send(path, body, call)
        if not reply.ok:
            raise self._error(reply)
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise MalformedReply(f"{self._transport.peer.host}{path} answered something else: {cause}.") from cause

    async def _send(self, path: str, body: bytes, call: Call) -> Reply:
        reply = await self._transport.send("POST", path, body, JSON_HEADERS, self._timeout_s)
        emit_limits(reply.headers, call)
        return reply

    def _error(self, reply: Reply) -> UpstreamError:
        peer = self._transport.peer
        error = provider_error(peer, reply)
        message = read_complaint(reply).message
        if type(error) is Rejected and _DIMENSION.search(message):
            return Rejected(
                f"{peer.host} answered {reply.status}: {message} – the index was made for another embedding model: "
                f"point {peer.setting('BASE_URL')} to an index of the model's dimension, or change the model."
            )
        if isinstance(error, QuotaExhausted):
            return QuotaExhausted(f"{error} (for Pinecone: the plan's monthly or object quota.)")
        return error


def _encoded(record: Record) -> bytes:
    return _ENCODER.encode({"id": record.id, "values": _numbers(record.vector), "metadata": dict(record.metadata)})


def _numbers(vector: Vector) -> Sequence[float]:
    """Nine decimals carry all that a float32 of a unit vector holds, in half the bytes of a float64."""
    rounded: list[float] = np.round(vector.astype(np.float64), 9).tolist()
    return rounded


def _no_such_namespace(reply: Reply) -> bool:
    return reply.status == 404 and "namespace" in read_complaint(reply).message.lower()
