"""The bodies of Pinecone's control plane: indexes as schemas of fields (from 2026-07 on), and as they were before."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rushhour.simulator.namespaces import Metric
from rushhour.simulator.pinecone_project import Index

_FIELD = "_values"
_LARGEST = 20_000
Protection = Literal["enabled", "disabled"]


class ControlRejected(Exception):
    """A call that is answered with the control plane's error body, which is not the data plane's."""

    def __init__(self, message: str, code: str = "INVALID_ARGUMENT", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Field(msgspec.Struct):
    """One field of a schema."""

    type: str
    dimension: int | None = None
    metric: Metric = "cosine"


class Schema(msgspec.Struct):
    """The searched fields of an index."""

    fields: dict[str, Field]


class CreateBody(msgspec.Struct):
    """`POST /indexes`."""

    schema: Schema
    name: str | None = None
    deployment: dict[str, Any] | None = None
    deletion_protection: Protection = "disabled"
    tags: dict[str, str] | None = None

    def shape(self) -> tuple[int, Metric]:
        """Return dimension and metric; raises ControlRejected for a schema that the vectors API does not serve."""
        field = self.schema.fields.get(_FIELD)
        if len(self.schema.fields) != 1 or field is None or field.type != "dense_vector":
            given = ", ".join(f"{name} ({one.type})" for name, one in self.schema.fields.items()) or "none"
            raise ControlRejected(
                f"Simulated are indexes of the vectors API, whose one field is {_FIELD} (dense_vector); got {given}"
            )
        return _dimension(field.dimension), field.metric

    def deployed(self) -> dict[str, Any] | None:
        """Return where the index runs, if the client said so."""
        return self.deployment


class OldCreateBody(msgspec.Struct):
    """`POST /indexes` before 2026-07."""

    name: str | None = None
    dimension: int | None = None
    metric: Metric = "cosine"
    vector_type: str = "dense"
    spec: dict[str, Any] = {}
    deletion_protection: Protection = "disabled"
    tags: dict[str, str] | None = None

    def shape(self) -> tuple[int, Metric]:
        """Return dimension and metric; raises ControlRejected for an index that is not dense."""
        if self.vector_type != "dense":
            raise ControlRejected(f"Simulated are dense indexes; got vector_type {self.vector_type!r}")
        return _dimension(self.dimension), self.metric

    def deployed(self) -> dict[str, Any] | None:
        """Return where the index runs, if the client said so."""
        serverless = self.spec.get("serverless")
        return {"deployment_type": "managed", **serverless} if isinstance(serverless, dict) else None


class PatchBody(msgspec.Struct):
    """`PATCH /indexes/{index}`; what else can be configured in life is ignored."""

    deletion_protection: Protection | None = None
    tags: dict[str, str] | None = None


def show_index(index: Index, host: str, *, ready: bool) -> dict[str, Any]:
    """Return an index as 2026-07 shows it; it has no host before it is ready."""
    return {
        "name": index.name,
        "host": host if ready else None,
        "status": _status(ready=ready),
        "schema": {"fields": {_FIELD: {"type": "dense_vector", "dimension": index.dimension, "metric": index.metric}}},
        "deployment": index.deployment,
        "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        "deletion_protection": index.deletion_protection,
        "tags": index.tags,
    }


def show_old_index(index: Index, host: str, *, ready: bool) -> dict[str, Any]:
    """Return an index as the versions before 2026-07 showed it."""
    place = {name: value for name, value in index.deployment.items() if name in ("cloud", "region")}
    return {
        "name": index.name,
        "host": host,
        "status": _status(ready=ready),
        "dimension": index.dimension,
        "metric": index.metric,
        "vector_type": "dense",
        "spec": {"serverless": place},
        "deletion_protection": index.deletion_protection,
        "tags": index.tags,
    }


def _status(*, ready: bool) -> dict[str, Any]:
    return {"ready": ready, "state": "Ready" if ready else "Initializing"}


def _dimension(given: int | None) -> int:
    if given is None or not 1 <= given <= _LARGEST:
        raise ControlRejected(f"Dimension must be between 1 and {_LARGEST}, got {given}")
    return given
