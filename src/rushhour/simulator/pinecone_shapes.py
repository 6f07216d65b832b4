"""The bodies of Pinecone's data plane, and what it rejects them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from rushhour.simulator.namespaces import Record, Scored

_LONGEST_ID = 512
_MOST_METADATA = 40 * 1024
_DEFAULT = "__default__"


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

    def check(self) -> int:
        """Return the bytes of id and metadata; raises Rejected for what is out of bounds, or not stored here."""
        if not 1 <= len(self.id) <= _LONGEST_ID:
            raise Rejected(f"Vector id has {len(self.id)} characters; it must have between 1 and {_LONGEST_ID}")
        refuse_sparse(self.sparse_values)
        return len(self.id.encode("utf-8", "surrogatepass")) + check_metadata(self.metadata or {})


class UpsertBody(msgspec.Struct):
    """`POST /vectors/upsert`."""

    vectors: list[Given]
    namespace: str = ""


class QueryBody(msgspec.Struct, rename="camel"):
    """`POST /query`."""

    top_k: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    namespace: str = ""
    vector: list[float] | None = None
    sparse_vector: dict[str, Any] | None = None
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


class UpdateBody(msgspec.Struct, rename="camel"):
    """`POST /vectors/update`."""

    namespace: str = ""
    id: str | None = None
    values: list[float] | None = None
    sparse_values: dict[str, Any] | None = None
    set_metadata: dict[str, Any] | None = None
    filter: dict[str, Any] | None = None
    dry_run: bool = False


class FetchByMetadataBody(msgspec.Struct, rename="camel"):
    """`POST /vectors/fetch_by_metadata`."""

    filter: dict[str, Any]
    namespace: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    pagination_token: str = ""


class StatsBody(msgspec.Struct):
    """`POST /describe_index_stats`."""

    filter: dict[str, Any] | None = None


def show_record(record: Record) -> dict[str, Any]:
    """Return a record as a fetch shows it."""
    return {"id": record.id, "values": record.values.tolist(), "metadata": record.metadata}


def check_metadata(metadata: Mapping[str, Any]) -> int:
    """Return the bytes of a record's metadata; raises Rejected if it is too large or of a wrong kind."""
    for name, value in metadata.items():
        plain = isinstance(value, str | int | float)
        if not plain and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            given = msgspec.json.encode(value).decode()
            raise Rejected(
                f"Metadata value must be a string, number, boolean or list of strings, got '{given}' for field '{name}'"
            )
    size = len(msgspec.json.encode(metadata))
    if size > _MOST_METADATA:
        raise Rejected(f"Metadata size is {size} bytes, which exceeds the limit of {_MOST_METADATA} bytes per vector")
    return size


def refuse_sparse(values: Mapping[str, Any] | None) -> None:
    """Raise Rejected for sparse values: every index here is dense."""
    if values is not None:
        raise Rejected("Index configuration does not support sparse values")


def plainly_named(namespace: str) -> str:
    """Return a namespace's name as requests may leave it out: the default one is empty."""
    return "" if namespace == _DEFAULT else namespace


def default_named(namespace: str) -> str:
    """Return a namespace's name as it is shown: the default one has a name of its own."""
    return namespace or _DEFAULT
