"""What the operations of a vector store's data plane have in common: bodies, values, pages, limits."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.filters import FilterError, check
from rushhour.simulator.namespaces import Values
from rushhour.simulator.pinecone_project import Index
from rushhour.simulator.pinecone_rates import Cost
from rushhour.simulator.pinecone_shapes import Rejected

Body = TypeVar("Body")
Operation: TypeAlias = Callable[[Visit, Index], Reply]
"""What answers a call to an index; it raises Rejected for what it refuses."""


def now() -> float:
    """Return the event loop's time, in seconds."""
    return asyncio.get_running_loop().time()


def parse(visit: Visit, shape: type[Body]) -> Body:
    """Return the request's body; raises Rejected if it is not of this shape."""
    try:
        return msgspec.json.decode(visit.request.body, type=shape)
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise Rejected(f"The request's body is not as the API defines it: {wrong}") from None


def pace(visit: Visit, index: Index, operation: str, namespace: str | None = None, *more: Cost) -> None:
    """Debit one call of an operation, and what else it takes; without a namespace the limit is the index's."""
    visit.entry.operation = operation
    index.rates.debit(visit, [Cost(f"{operation}_per_s", 1, namespace), *more], now())


def check_filter(wanted: Mapping[str, Any] | None) -> None:
    """Raise Rejected for a metadata filter that is not understood."""
    try:
        check(wanted or {})
    except FilterError as wrong:
        raise Rejected(f"Invalid filter: {wrong}") from None


def to_values(given: Sequence[float], dimension: int) -> Values:
    """Return a vector, shape (dimension,); raises Rejected if it has another."""
    if len(given) != dimension:
        raise Rejected(f"Vector dimension {len(given)} does not match the dimension of the index {dimension}")
    return np.array(given, np.float32)


def pagination(last: str | None) -> dict[str, Any]:
    """Return what leads to the page after the one that ends with `last`; None is the end."""
    if last is None:
        return {}
    return {"pagination": {"next": base64.urlsafe_b64encode(last.encode()).decode()}}


def decode_token(token: str) -> str:
    """Return where the page of a token begins; raises Rejected if no list returned it."""
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise Rejected(f"paginationToken {token!r} is not one that a list returned") from None
