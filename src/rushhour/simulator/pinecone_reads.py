"""The reads of a vector store's data plane: query, fetch, list and statistics, as far as writes are visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.namespaces import Namespace, Record, Scored, Values
from rushhour.simulator.pinecone_calls import (
    Operation,
    check_filter,
    decode_token,
    now,
    pace,
    pagination,
    parse,
    to_values,
)
from rushhour.simulator.pinecone_project import Index, Project, query_units
from rushhour.simulator.pinecone_rates import Cost
from rushhour.simulator.pinecone_shapes import (
    FetchByMetadataBody,
    QueryBody,
    Rejected,
    StatsBody,
    default_named,
    plainly_named,
    refuse_sparse,
    show_record,
)

_MOST_IDS = 1_000
_MOST_LISTED = 100
_RECORDS_A_READ_UNIT = 10


class Reads:
    """What looks into an index."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Return the operations by (method, path)."""
        return {
            ("POST", "/query"): self._query,
            ("GET", "/vectors/fetch"): self._fetch,
            ("POST", "/vectors/fetch_by_metadata"): self._fetch_by_metadata,
            ("GET", "/vectors/list"): self._list,
            ("POST", "/describe_index_stats"): self._stats,
            ("GET", "/describe_index_stats"): self._stats,
        }

    def _query(self, visit: Visit, index: Index) -> Reply:
        body = parse(visit, QueryBody)
        namespace = index.namespace(body.namespace)
        units = query_units(namespace, now())
        pace(visit, index, "query", plainly_named(body.namespace), Cost("query_units_per_s", units))
        if (body.vector is None) == (body.id is None):
            raise Rejected("Send either vector or id, and not both")
        refuse_sparse(body.sparse_vector)
        check_filter(body.filter)
        values = None if body.vector is None else to_values(body.vector, index.dimension or len(body.vector))
        self._read(visit, units)
        found, indexed = _search(namespace, body, values, now())
        content = {
            "matches": [body.show(hit) for hit in found],
            "namespace": plainly_named(body.namespace),
            "usage": {"readUnits": units},
        }
        return json_reply(content, headers=_reconciled(indexed))

    def _fetch(self, visit: Visit, index: Index) -> Reply:
        name = visit.request.parameter("namespace")
        pace(visit, index, "fetch")
        ids = visit.request.query.get("ids", ())
        if not 1 <= len(ids) <= _MOST_IDS:
            raise Rejected(f"{len(ids)} ids in one fetch; send between 1 and {_MOST_IDS}")
        namespace = index.namespace(name)
        return self._fetched(visit, name, namespace.fetch(ids, now()) if namespace is not None else [])

    def _fetch_by_metadata(self, visit: Visit, index: Index) -> Reply:
        body = parse(visit, FetchByMetadataBody)
        pace(visit, index, "fetch")
        check_filter(body.filter)
        namespace = index.namespace(body.namespace)
        after = decode_token(body.pagination_token)
        found = [] if namespace is None else namespace.select(body.filter, after, body.limit + 1, now())
        page = found[: body.limit]
        return self._fetched(visit, body.namespace, page, pagination(page[-1].id if len(found) > len(page) else None))

    def _fetched(
        self, visit: Visit, name: str, records: Sequence[Record], more: Mapping[str, Any] | None = None
    ) -> Reply:
        units = max(1, -(-len(records) // _RECORDS_A_READ_UNIT))
        self._read(visit, units)
        content = {
            "vectors": {one.id: show_record(one) for one in records},
            "namespace": plainly_named(name),
            "usage": {"readUnits": units},
        }
        return json_reply({**content, **(more or {})})

    def _list(self, visit: Visit, index: Index) -> Reply:
        asked = visit.request
        name = asked.parameter("namespace")
        pace(visit, index, "list")
        limit = asked.parameter("limit", str(_MOST_LISTED))
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_LISTED:
            raise Rejected(f"limit is {limit!r}; it must be between 1 and {_MOST_LISTED}")
        after = decode_token(asked.parameter("paginationToken"))
        self._read(visit, 1)
        namespace = index.namespace(name)
        ids = namespace.ids(asked.parameter("prefix"), after, int(limit) + 1, now()) if namespace is not None else []
        page = ids[: int(limit)]
        content: dict[str, Any] = {"vectors": [{"id": one} for one in page], "namespace": plainly_named(name)}
        more = pagination(page[-1] if len(ids) > len(page) else None)
        return json_reply({**content, **more, "usage": {"readUnits": 1}})

    def _stats(self, visit: Visit, index: Index) -> Reply:
        if visit.request.body and parse(visit, StatsBody).filter:
            raise Rejected(
                "Serverless and Starter indexes do not support describing index stats with metadata filtering"
            )
        pace(visit, index, "stats")
        counts = {name: one.count(now()) for name, one in sorted(index.namespaces.items())}
        content = {
            "namespaces": {default_named(name): {"vectorCount": count} for name, count in counts.items() if count},
            "dimension": index.dimension,
            "indexFullness": 0,
            "totalVectorCount": sum(counts.values()),
            "metric": index.metric,
            "vectorType": "dense",
        }
        return json_reply(content)

    def _read(self, visit: Visit, units: int) -> None:
        self._project.month.debit(visit, "read", units)
        visit.entry.read_units = units


def _search(namespace: Namespace | None, body: QueryBody, values: Values | None, at: float) -> tuple[list[Scored], int]:
    """Return the nearest records visible at a time, and the LSN up to which they are visible then."""
    if namespace is None:
        return [], 0
    if values is None:
        known = namespace.fetch([str(body.id)], at)
        values = known[0].values if known else None
    found = [] if values is None else namespace.query(values, body.top_k, body.filter, at)
    return found, namespace.catch_up(at)


def _reconciled(lsn: int) -> dict[str, str]:
    return {"x-pinecone-max-indexed-lsn": str(lsn), "x-pinecone-lsn-reconciled": str(lsn)}
