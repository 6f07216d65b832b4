"""Pinecone's data plane: upsert, query, delete, fetch, list and statistics of one index."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.filters import FilterError, check
from rushhour.simulator.limiter import Bucket
from rushhour.simulator.namespaces import Namespace, Record, Scored, Values
from rushhour.simulator.pinecone_shapes import DeleteBody, Given, QueryBody, Rejected, StatsBody, UpsertBody
from rushhour.simulator.profiles import VectorsProfile

Body = TypeVar("Body")
_DEFAULT = "__default__"
_MOST_IDS = 1_000
_MOST_LISTED = 100
_PER_NAMESPACE = frozenset({"query", "upsert", "delete"})


class Pinecone:
    """The vector store's API; one index, its dimension set by the profile or by the first upsert."""

    name = "vectors"

    def __init__(self, profile: VectorsProfile, keys: frozenset[str]) -> None:
        self._profile = profile
        self._keys = keys
        self._dimension = profile.dimension
        self._namespaces: dict[str, Namespace] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self.capacity = profile.latency.capacity
        self.faults: Mapping[str, float] = profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the data plane's routes."""
        return {
            ("POST", "/vectors/upsert"): self._guard(self._upsert),
            ("POST", "/query"): self._guard(self._query),
            ("POST", "/vectors/delete"): self._guard(self._delete),
            ("GET", "/vectors/fetch"): self._guard(self._fetch),
            ("GET", "/vectors/list"): self._guard(self._list),
            ("POST", "/describe_index_stats"): self._guard(self._stats),
            ("GET", "/describe_index_stats"): self._guard(self._stats),
        }

    def reset(self, *, data: bool) -> None:
        """Fill the buckets; with `data`, drop every namespace."""
        self._buckets.clear()
        if data:
            self._namespaces.clear()
            self._dimension = self._profile.dimension

    def _guard(self, operation: Callable[[Visit], Reply]) -> Handler:
        """Check the key before an operation, turn what it rejects into Pinecone's error body, take the latency."""

        async def handle(visit: Visit) -> Reply:
            if self._keys and visit.request.headers.get("api-key") not in self._keys:
                return Reply(401, b"Invalid API Key", {"content-type": "text/plain"})
            try:
                reply = operation(visit)
            except Rejected as wrong:
                return json_reply({"code": wrong.code, "message": str(wrong), "details": []}, wrong.status)
            await asyncio.sleep(self._profile.latency.seconds(visit.draw) * visit.slowdown)
            return reply

        return handle

    def _upsert(self, visit: Visit) -> Reply:
        limits, size = self._profile, len(visit.request.body)
        if size > limits.max_bytes:
            raise Rejected(f"Request size {size} bytes exceeds the maximum supported size of {limits.max_bytes} bytes")
        body = _parse(visit, UpsertBody)
        self._pace(visit, "upsert", body.namespace)
        if not 1 <= len(body.vectors) <= limits.max_records:
            raise Rejected(f"{len(body.vectors)} vectors in one upsert; send between 1 and {limits.max_records}")
        dimension = self._dimension or len(body.vectors[0].values)
        records = [_record(given, dimension) for given in body.vectors]
        self._dimension = dimension
        lsn = self._namespace(body.namespace, dimension).upsert(records, _now())
        return json_reply({"upsertedCount": len(records)}, headers={"x-pinecone-request-lsn": str(lsn)})

    def _query(self, visit: Visit) -> Reply:
        body = _parse(visit, QueryBody)
        self._pace(visit, "query", body.namespace)
        if (body.vector is None) == (body.id is None):
            raise Rejected("Send either vector or id, and not both")
        _check(body.filter)
        values = None
        if body.vector is not None:
            values = _values(body.vector, self._dimension or len(body.vector))
        found, indexed = self._search(body, values)
        visit.entry.read_units = 1
        content = {
            "matches": [body.show(hit) for hit in found],
            "namespace": _plain(body.namespace),
            "usage": {"readUnits": 1},
        }
        return json_reply(content, headers={"x-pinecone-max-indexed-lsn": str(indexed)})

    def _search(self, body: QueryBody, values: Values | None) -> tuple[list[Scored], int]:
        """Return the nearest visible records, and the LSN up to which they are visible."""
        namespace = self._namespaces.get(_plain(body.namespace))
        if namespace is None:
            return [], 0
        if values is None:
            known = namespace.fetch([str(body.id)], _now())
            values = known[0].values if known else None
        found = [] if values is None else namespace.query(values, body.top_k, body.filter, _now())
        return found, namespace.catch_up(_now())

    def _delete(self, visit: Visit) -> Reply:
        body = _parse(visit, DeleteBody)
        self._pace(visit, "delete", body.namespace)
        ways = [body.ids is not None, body.delete_all, body.filter is not None]
        if sum(ways) != 1:
            raise Rejected("Send exactly one of ids, deleteAll and filter")
        if body.ids is not None and not 1 <= len(body.ids) <= _MOST_IDS:
            raise Rejected(f"{len(body.ids)} ids in one delete; send between 1 and {_MOST_IDS}")
        _check(body.filter)
        namespace = self._namespaces.get(_plain(body.namespace))
        if namespace is None:
            return json_reply({})
        lsn = namespace.delete(body.ids, body.filter, _now())
        return json_reply({}, headers={"x-pinecone-request-lsn": str(lsn)})

    def _fetch(self, visit: Visit) -> Reply:
        name = visit.request.parameter("namespace")
        self._pace(visit, "fetch", name)
        ids = visit.request.query.get("ids", ())
        if not 1 <= len(ids) <= _MOST_IDS:
            raise Rejected(f"{len(ids)} ids in one fetch; send between 1 and {_MOST_IDS}")
        namespace = self._namespaces.get(_plain(name))
        records = namespace.fetch(ids, _now()) if namespace is not None else []
        shown = {one.id: {"id": one.id, "values": one.values.tolist(), "metadata": one.metadata} for one in records}
        visit.entry.read_units = 1
        return json_reply({"vectors": shown, "namespace": _plain(name), "usage": {"readUnits": 1}})

    def _list(self, visit: Visit) -> Reply:
        asked = visit.request
        name = asked.parameter("namespace")
        self._pace(visit, "list", name)
        limit = asked.parameter("limit", str(_MOST_LISTED))
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_LISTED:
            raise Rejected(f"limit is {limit!r}; it must be between 1 and {_MOST_LISTED}")
        after = _decode_token(asked.parameter("paginationToken"))
        namespace = self._namespaces.get(_plain(name))
        ids = namespace.ids(asked.parameter("prefix"), after, int(limit) + 1, _now()) if namespace is not None else []
        page = ids[: int(limit)]
        content: dict[str, Any] = {"vectors": [{"id": one} for one in page], "namespace": _plain(name)}
        if len(ids) > len(page):
            content["pagination"] = {"next": base64.urlsafe_b64encode(page[-1].encode()).decode()}
        return json_reply({**content, "usage": {"readUnits": 1}})

    def _stats(self, visit: Visit) -> Reply:
        if visit.request.body:
            _parse(visit, StatsBody)
        self._pace(visit, "stats", "")
        counts = {name: one.count(_now()) for name, one in sorted(self._namespaces.items())}
        content = {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items() if count},
            "dimension": self._dimension,
            "indexFullness": 0,
            "totalVectorCount": sum(counts.values()),
            "metric": "cosine",
            "vectorType": "dense",
        }
        return json_reply(content)

    def _pace(self, visit: Visit, operation: str, namespace: str) -> None:
        """Debit one call of an operation; some are limited per namespace, the others per index."""
        visit.entry.operation = operation
        scope = _plain(namespace) if operation in _PER_NAMESPACE else ""
        per_second: int = getattr(self._profile, f"{operation}_per_s")
        bucket = self._buckets.setdefault((operation, scope), Bucket(60 * per_second, burst_s=1))
        if bucket.fits(1, _now()):
            bucket.take(1, _now())
            return
        visit.entry.throttled, visit.entry.retry_after = operation, bucket.wait(1, _now())
        where = f"namespace {scope or _DEFAULT}" if operation in _PER_NAMESPACE else f"index {self._profile.index}"
        raise Rejected(
            f"Request failed. You've reached the max {operation} requests per second for {where}. Pace your requests "
            "or contact Pinecone Support to request a limit increase.",
            code=8,
            status=429,
        )

    def _namespace(self, name: str, dimension: int) -> Namespace:
        namespace = self._namespaces.get(_plain(name))
        if namespace is None:
            namespace = Namespace(dimension, self._profile.freshness_s, self._profile.stats_lag_s)
            self._namespaces[_plain(name)] = namespace
        return namespace


def _record(given: Given, dimension: int) -> Record:
    given.check()
    values = _values(given.values, dimension)
    if not values.any():
        raise Rejected("Dense vectors must contain at least one non-zero value")
    return Record(given.id, values, given.metadata or {})


def _values(given: Sequence[float], dimension: int) -> Values:
    if len(given) != dimension:
        raise Rejected(f"Vector dimension {len(given)} does not match the dimension of the index {dimension}")
    return np.array(given, np.float32)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _plain(namespace: str) -> str:
    return "" if namespace == _DEFAULT else namespace


def _parse(visit: Visit, shape: type[Body]) -> Body:
    try:
        return msgspec.json.decode(visit.request.body, type=shape)
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise Rejected(f"The request's body is not as the API defines it: {wrong}") from None


def _check(wanted: Mapping[str, Any] | None) -> None:
    try:
        check(wanted or {})
    except FilterError as wrong:
        raise Rejected(f"Invalid filter: {wrong}") from None


def _decode_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise Rejected(f"paginationToken {token!r} is not one that a list returned") from None
