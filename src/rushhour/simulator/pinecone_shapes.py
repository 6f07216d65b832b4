"""The bodies of Pinecone's data plane, and what it rejects them with."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from rushhour.simulator.namespaces import Scored

_LONGEST_ID = 512
_MOST_METADATA = 40 * 1024


class Rejected(Exception):
    """A call that is answered with an rpcStatus body; `code` is gRPC's, 3 an invalid argument."""

    def __init__(self, message: str, *, code: int = 3, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Given(msgspec.Struct, rename="camel"):
    """A record to upsert."""

    id: str
    values: list[float] = []
    sparse_values: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    def check(self) -> None:
        """Raise Rejected for an id or metadata out of bounds, or for what the simulator does not store."""
        if not 1 <= len(self.id) <= _LONGEST_ID:
            raise Rejected(f"Vector id has {len(self.id)} characters; it must have between 1 and {_LONGEST_ID}")
        if self.sparse_values is not None and not self.values:
            raise Rejected("Sparse vectors need a sparse index; this one is dense")
        if self.metadata:
            size = len(msgspec.json.encode(self.metadata))
            if size > _MOST_METADATA:
                raise Rejected(
                    f"Metadata size is {size} bytes, which exceeds the limit of {_MOST_METADATA} bytes per vector"
                )


class UpsertBody(msgspec.Struct):
    """`POST /vectors/upsert`."""

    vectors: list[Given]
    namespace: str = ""


class QueryBody(msgspec.Struct, rename="camel"):
    """`POST /query`."""

    top_k: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    namespace: str = ""
    vector: list[float] | None = None
    id: str | None = None
    filter: dict[str, Any] | None = None
    include_values: bool = False
    include_metadata: bool = False

    def show(self, hit: Scored) -> dict[str, Any]:
        """Return a match with the parts that were asked for."""
        shown: dict[str, Any] = {"id": hit.record.id, "score": hit.score}
        if self.include_values:
            shown["values"] = hit.record.values.tolist()
        if self.include_metadata and hit.record.metadata:
            shown["metadata"] = hit.record.metadata
        return shown


class DeleteBody(msgspec.Struct, rename="camel"):
    """`POST /vectors/delete`."""

    namespace: str = ""
    ids: list[str] | None = None
    delete_all: bool = False
    filter: dict[str, Any] | None = None


class StatsBody(msgspec.Struct):
    """`POST /describe_index_stats`."""

    filter: dict[str, Any] | None = None
