"""The writes of a vector store's data plane: upsert, update and delete. Each has a number, its LSN."""

from __future__ import annotations

from collections.abc import Mapping

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.namespaces import Namespace, Record
from rushhour.simulator.pinecone_calls import Operation, check_filter, now, pace, parse, to_values
from rushhour.simulator.pinecone_project import Index, Project, write_units
from rushhour.simulator.pinecone_rates import Cost
from rushhour.simulator.pinecone_shapes import (
    DeleteBody,
    Given,
    Rejected,
    UpdateBody,
    UpsertBody,
    check_metadata,
    plainly_named,
    refuse_sparse,
)

_MOST_IDS = 1_000


class Writes:
    """What changes an index."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Return the operations by (method, path)."""
        return {
            ("POST", "/vectors/upsert"): self._upsert,
            ("POST", "/vectors/update"): self._update,
            ("POST", "/vectors/delete"): self._delete,
        }

    def _upsert(self, visit: Visit, index: Index) -> Reply:
        limits, size = self._project.profile, len(visit.request.body)
        if size > limits.max_bytes:
            raise Rejected(f"Request size {size} bytes exceeds the maximum supported size of {limits.max_bytes} bytes")
        body = parse(visit, UpsertBody)
        name = plainly_named(body.namespace)
        pace(visit, index, "upsert", name, Cost("upsert_bytes_per_s", size, name))
        if not 1 <= len(body.vectors) <= limits.max_records:
            raise Rejected(f"{len(body.vectors)} vectors in one upsert; send between 1 and {limits.max_records}")
        dimension = index.dimension or len(body.vectors[0].values)
        records = [_record(given, dimension) for given in body.vectors]
        self._project.month.debit(visit, "write", write_units(size))
        index.dimension = dimension
        lsn = index.make_namespace(body.namespace, dimension).upsert(records, now())
        return json_reply({"upsertedCount": len(records)}, headers=_committed(lsn))

    def _update(self, visit: Visit, index: Index) -> Reply:
        body = parse(visit, UpdateBody)
        by_metadata = body.filter is not None
        limit = [Cost("update_by_metadata_per_s", 1, plainly_named(body.namespace))] if by_metadata else []
        pace(visit, index, "update", plainly_named(body.namespace), *limit)
        if (body.id is None) == (body.filter is None):
            raise Rejected("Send exactly one of id and filter")
        refuse_sparse(body.sparse_values)
        check_filter(body.filter)
        namespace = _existing(index, body.namespace)
        metadata = body.set_metadata or {}
        check_metadata(metadata)
        values = None if body.values is None else to_values(body.values, index.dimension or len(body.values))
        content = {"matchedRecords": namespace.matched(body.filter, now())} if body.filter is not None else {}
        if body.dry_run:
            return json_reply(content)
        self._project.month.debit(visit, "write", write_units(len(visit.request.body)))
        lsn = namespace.update(body.id, body.filter, values, metadata, now())
        return json_reply(content, headers=_committed(lsn))

    def _delete(self, visit: Visit, index: Index) -> Reply:
        body = parse(visit, DeleteBody)
        limit = [Cost("delete_by_metadata_per_s", 1, plainly_named(body.namespace))] if body.filter is not None else []
        pace(visit, index, "delete", plainly_named(body.namespace), *limit)
        ways = [body.ids is not None, body.delete_all, body.filter is not None]
        if sum(ways) != 1:
            raise Rejected("Send exactly one of ids, deleteAll and filter")
        if body.ids is not None and not 1 <= len(body.ids) <= _MOST_IDS:
            raise Rejected(f"{len(body.ids)} ids in one delete; send between 1 and {_MOST_IDS}")
        check_filter(body.filter)
        namespace = _existing(index, body.namespace)
        self._project.month.debit(visit, "write", write_units(len(visit.request.body)))
        return json_reply({}, headers=_committed(namespace.delete(body.ids, body.filter, now())))


def _existing(index: Index, name: str) -> Namespace:
    namespace = index.namespace(name)
    if namespace is None:
        raise Rejected("Namespace not found", code=5, status=404)
    return namespace


def _record(given: Given, dimension: int) -> Record:
    size = given.check()
    values = to_values(given.values, dimension)
    if not values.any():
        raise Rejected("Dense vectors must contain at least one non-zero value")
    return Record(given.id, values, given.metadata or {}, size + values.nbytes)


def _committed(lsn: int) -> dict[str, str]:
    """Return a write's number; the second name is the one of older versions of the API, which clients still read."""
    return {"x-pinecone-request-lsn": str(lsn), "x-pinecone-lsn-committed": str(lsn)}
