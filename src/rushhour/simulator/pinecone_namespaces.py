"""The namespaces of an index as the data plane shows them: list, create, describe, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.pinecone_calls import Operation, decode_token, now, pace, pagination, parse
from rushhour.simulator.pinecone_project import Index, Project
from rushhour.simulator.pinecone_shapes import Rejected, default_named, plainly_named

_MOST_LISTED = 100
_LONGEST_NAME = 512


class _Named(msgspec.Struct):
    """`POST /namespaces`."""

    name: str


class Namespaces:
    """Operations on whole namespaces; they are paced as the operation on records that they are most like."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Return the operations by (method, path)."""
        return {
            ("GET", "/namespaces"): self._list,
            ("POST", "/namespaces"): self._create,
            ("GET", "/namespaces/{namespace}"): self._describe,
            ("DELETE", "/namespaces/{namespace}"): self._delete,
        }

    def _list(self, visit: Visit, index: Index) -> Reply:
        asked = visit.request
        pace(visit, index, "list")
        limit = asked.parameter("limit", str(_MOST_LISTED))
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_LISTED:
            raise Rejected(f"limit is {limit!r}; it must be between 1 and {_MOST_LISTED}")
        after, prefix = decode_token(asked.parameter("paginationToken")), asked.parameter("prefix")
        names = sorted(name for name in map(default_named, index.namespaces) if name.startswith(prefix))
        later = [name for name in names if name > after]
        page = later[: int(limit)]
        more = pagination(page[-1] if len(later) > len(page) else None)
        shown = [_show(index, name) for name in page]
        return json_reply({"namespaces": shown, "total_count": len(names), **more})

    def _create(self, visit: Visit, index: Index) -> Reply:
        name = parse(visit, _Named).name
        pace(visit, index, "upsert", name)
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise Rejected(f"A namespace's name has {len(name)} characters; it must have 1 to {_LONGEST_NAME}")
        if index.namespace(name) is not None or not plainly_named(name):
            raise Rejected(f"Namespace {name} already exists", code=6, status=409)
        if index.dimension is None:
            raise Rejected("The index has no dimension yet: upsert into it first", code=9)
        index.make_namespace(name, index.dimension)
        return json_reply(_show(index, name))

    def _describe(self, visit: Visit, index: Index) -> Reply:
        name = visit.request.parameter("{namespace}")
        pace(visit, index, "stats")
        _expect(index, name)
        return json_reply(_show(index, name))

    def _delete(self, visit: Visit, index: Index) -> Reply:
        name = visit.request.parameter("{namespace}")
        pace(visit, index, "delete", plainly_named(name))
        _expect(index, name)
        del index.namespaces[plainly_named(name)]
        return json_reply({})


def _expect(index: Index, name: str) -> None:
    if index.namespace(name) is None:
        raise Rejected(f"Namespace {name} not found", code=5, status=404)


def _show(index: Index, name: str) -> dict[str, Any]:
    """Return a description; the count is a string, as protobuf's JSON writes 64-bit integers."""
    namespace = index.namespaces[plainly_named(name)]
    return {
        "name": default_named(name),
        "record_count": str(namespace.count(now())),
        "size_bytes": namespace.size(now()),
    }
