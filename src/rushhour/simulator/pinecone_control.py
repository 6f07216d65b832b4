"""Pinecone's control plane: create, describe, configure, list and delete indexes.

The shape of an index depends on the version that the client asks for: from 2026-07 on a schema of fields, before it
one metric and one dimension. A host has a scheme, since clients take one without for https.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.pinecone_calls import now
from rushhour.simulator.pinecone_control_shapes import (
    ControlRejected,
    CreateBody,
    OldCreateBody,
    PatchBody,
    show_index,
    show_old_index,
)
from rushhour.simulator.pinecone_project import Index, Project

_SCHEMAS_SINCE = "2026-07"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,43}[a-z0-9])?")


class PineconeControl:
    """The control plane; no limits of its own, no latency, no faults."""

    name = "indexes"
    capacity = 10_000
    faults: Mapping[str, float] = {}

    def __init__(self, project: Project, keys: frozenset[str]) -> None:
        self._project = project
        self._keys = keys

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the routes."""
        return {
            ("GET", "/indexes"): self._guard(self._list),
            ("POST", "/indexes"): self._guard(self._create),
            ("GET", "/indexes/{index}"): self._guard(self._describe),
            ("PATCH", "/indexes/{index}"): self._guard(self._configure),
            ("DELETE", "/indexes/{index}"): self._guard(self._delete),
        }

    def reset(self, *, data: bool) -> None:
        """Keep everything: the data plane resets the project that both share."""

    def _guard(self, operation: Callable[[Visit], Reply]) -> Handler:
        async def handle(visit: Visit) -> Reply:
            # what is not there may come to be, and the other way round: asking again is no retry
            visit.entry.fingerprint = hash((visit.draw.hexadecimal("request"), visit.entry.fingerprint))
            visit.entry.operation = operation.__name__.lstrip("_")
            if self._keys and visit.request.headers.get("api-key") not in self._keys:
                return _error("UNAUTHENTICATED", "Invalid API key", 401)
            try:
                return operation(visit)
            except ControlRejected as wrong:
                return _error(wrong.code, str(wrong), wrong.status)

        return handle

    def _list(self, visit: Visit) -> Reply:
        return json_reply({"indexes": [self._show(visit, index) for index in self._project.listed()]})

    def _describe(self, visit: Visit) -> Reply:
        return json_reply(self._show(visit, self._find(visit)))

    def _create(self, visit: Visit) -> Reply:
        body = _parse(visit, CreateBody if _takes_schemas(visit) else OldCreateBody)
        name = body.name
        if name is None or not _NAME.fullmatch(name):
            raise ControlRejected(
                f"Name must consist of lower case alphanumeric characters or '-', at most 45, got {name!r}"
            )
        dimension, metric = body.shape()
        if self._project.find(name) is not None:
            raise ControlRejected("Resource already exists", "ALREADY_EXISTS", 409)
        most = self._project.profile.max_indexes
        if len(self._project.listed()) >= most:
            raise ControlRejected(
                f"Request failed. You've reached the max serverless indexes allowed in project simulated ({most}). Use "
                "namespaces to partition your data into logical groups, or upgrade your plan to add more serverless "
                "indexes.",
                "QUOTA_EXCEEDED",
                403,
            )
        index = self._project.add(name, dimension, metric)
        index.ready_at = now() + self._project.profile.ready_s
        index.tags, index.deletion_protection = body.tags, body.deletion_protection
        index.deployment = body.deployed() or index.deployment
        return json_reply(self._show(visit, index), 201)

    def _configure(self, visit: Visit) -> Reply:
        index = self._find(visit)
        body = _parse(visit, PatchBody)
        index.deletion_protection = body.deletion_protection or index.deletion_protection
        if body.tags is not None:  # an empty value takes a tag away
            index.tags = {name: value for name, value in {**(index.tags or {}), **body.tags}.items() if value}
        return json_reply(self._show(visit, index))

    def _delete(self, visit: Visit) -> Reply:
        index = self._find(visit)
        if index.deletion_protection == "enabled":
            raise ControlRejected(
                "Deletion protection is enabled for this index. Disable deletion protection before retrying.",
                "FORBIDDEN",
                403,
            )
        self._project.remove(index)
        return Reply(202)

    def _find(self, visit: Visit) -> Index:
        name = visit.request.parameter("{index}")
        index = self._project.find(name)
        if index is None:
            raise ControlRejected(f"Resource {name} not found", "NOT_FOUND", 404)
        return index

    def _show(self, visit: Visit, index: Index) -> dict[str, Any]:
        show = show_index if _takes_schemas(visit) else show_old_index
        host = f"http://{visit.request.headers.get('host', 'localhost')}{self._project.path(index)}"
        return show(index, host, ready=now() >= index.ready_at)


def _takes_schemas(visit: Visit) -> bool:
    version = visit.request.headers.get("x-pinecone-api-version", _SCHEMAS_SINCE)
    return version >= _SCHEMAS_SINCE


def _parse(visit: Visit, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(visit.request.body, type=shape)
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise ControlRejected(f"The request's body is not as the API defines it: {wrong}") from None


def _error(code: str, message: str, status: int) -> Reply:
    return json_reply({"error": {"code": code, "message": message}, "status": status}, status)
