"""Filters on metadata: the shape that OpenAI's API gives them, read, checked, and said to the stores.

A comparison is `{"type": "gte", "key": "page", "value": 3}`, a compound `{"type": "and", "filters": […]}`. Keys are
file, title, source, heading, page, and whatever else is in a chunk's metadata.

Stores are told in the spelling of Mongo and Pinecone, `{"page": {"$gte": 3}}`: `hops.metadata_filter` and
`catalog.restriction` understand that one alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

from rushhour.catalog.contract import Chunk
from rushhour.errors import InvalidRequest
from rushhour.hops.contract import Scalar
from rushhour.hops.metadata_filter import metadata_test
from rushhour.rag.scalar import WHOLE

COMPARISONS: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
COMPOUNDS: Final = ("and", "or")
DEEPEST: Final = 8
MOST: Final = 200
"""Values that one filter compares with, those of its lists included: each is looked for in each chunk of a search."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One key compared with a value, or with a tuple of them for `in` and `nin`.

    A chunk without the key fails every comparison but `ne` and `nin`. Numbers compare with numbers and strings with
    strings; of anything else only equality can be asked, and `true` is not 1.
    """

    type: str
    key: str
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """All (`and`) or some (`or`) of several filters."""

    type: str
    filters: tuple[Filter, ...]


Filter: TypeAlias = Comparison | Compound


def read_filter(given: object, param: str = "filters") -> Filter:
    """Check a filter in OpenAI's shape. Raises InvalidRequest that names the place, and the remedy."""
    return _read(given, param, 1)


def joined(kind: str, parts: Iterable[Filter], place: str) -> Compound:
    """Return a compound; raises InvalidRequest as soon as its parts compare with more than `MOST` values in all."""
    taken: list[Filter] = []
    values = 0
    for part in parts:
        taken.append(part)
        values += _values(part)
        if values > MOST:
            raise InvalidRequest(
                f"{place} compares with more than {MOST} values in all; compare with fewer in one question.",
                param=place,
            )
    return Compound(kind, tuple(taken))


def spelled(wanted: Filter) -> dict[str, Any]:
    """Say it as Mongo and Pinecone spell it."""
    if isinstance(wanted, Compound):
        return {f"${wanted.type}": [spelled(part) for part in wanted.filters]}
    value = list(wanted.value) if isinstance(wanted.value, tuple) else wanted.value
    return {wanted.key: {f"${wanted.type}": value}}


def weakened(wanted: Filter, keys: frozenset[str]) -> Filter | None:
    """Return what can be said of a filter with these keys alone; None where that lets everything through.

    All that passes the filter passes the weakened one too.
    """
    if isinstance(wanted, Comparison):
        return wanted if wanted.key in keys else None
    parts = [weakened(part, keys) for part in wanted.filters]
    known = tuple(part for part in parts if part is not None)
    if not known or (wanted.type == "or" and len(known) < len(parts)):
        return None
    return Compound(wanted.type, known)


def chunk_test(wanted: Filter) -> Callable[[Chunk], bool]:
    """Return what tells whether a chunk passes; made once for all the chunks of a search."""
    test = metadata_test(spelled(wanted))
    return lambda chunk: test(fields(chunk))


def fields(chunk: Chunk) -> dict[str, Any]:
    """Return what a chunk can be filtered by; its own fields outrank metadata of the same name."""
    own = {"file": chunk.file, "title": chunk.title, "source": chunk.source, "heading": chunk.heading}
    return {**chunk.metadata, **own, "page": chunk.page}


def _values(wanted: Filter) -> int:
    if isinstance(wanted, Compound):
        return sum(map(_values, wanted.filters))
    return len(wanted.value) if isinstance(wanted.value, tuple) else 1


def _read(given: object, place: str, depth: int) -> Filter:
    if depth > DEEPEST:
        raise InvalidRequest(f"{place} is nested too deeply; at most {DEEPEST} levels are accepted.", param=place)
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            f"{place} is {shown(given)}; a filter is an object like "
            '{"type": "eq", "key": "file", "value": "manual.pdf"}.',
            param=place,
        )
    kind = given.get("type")
    if kind in COMPARISONS:
        return _comparison(given, str(kind), place)
    if kind in COMPOUNDS:
        return _compound(given, str(kind), place, depth)
    known = ", ".join((*COMPARISONS, *COMPOUNDS))
    raise InvalidRequest(f"{place}.type is {shown(kind)}; it must be one of {known}.", param=f"{place}.type")


def _compound(given: Mapping[Any, Any], kind: str, place: str, depth: int) -> Compound:
    parts = given.get("filters")
    if not isinstance(parts, list) or not 1 <= len(parts) <= MOST:
        raise InvalidRequest(
            f"{place}.filters must be a list of 1 to {MOST} filters, all of which ('and') or some of which ('or') "
            f"have to hold; it is {shown(parts)}.",
            param=f"{place}.filters",
        )
    read = (_read(part, f"{place}.filters[{number}]", depth + 1) for number, part in enumerate(parts))
    return joined(kind, read, place)


def _comparison(given: Mapping[Any, Any], kind: str, place: str) -> Comparison:
    key = given.get("key")
    if not isinstance(key, str) or not key or key.startswith("$") or '"' in key:
        raise InvalidRequest(
            f"{place}.key is {shown(key)}; it must name what is compared: file, title, source, heading, page or a "
            "key of the documents' metadata.",
            param=f"{place}.key",
        )
    value = given.get("value")
    if kind in ("in", "nin"):
        return Comparison(kind, key, _several(value, f"{place}.value"))
    if not _is_scalar(value):
        raise InvalidRequest(
            f"{place}.value is {shown(value)}; {kind!r} compares with a string, a boolean or a number, whole ones "
            "below 2^53.",
            param=f"{place}.value",
        )
    if kind not in ("eq", "ne") and isinstance(value, bool):
        raise InvalidRequest(
            f"{place}.value is {shown(value)}; {kind!r} compares with a string or a number.", param=f"{place}.value"
        )
    return Comparison(kind, key, value)


def _several(value: Any, place: str) -> tuple[Scalar, ...]:
    if isinstance(value, list) and 1 <= len(value) <= MOST and all(map(_is_scalar, value)):
        return tuple(value)
    raise InvalidRequest(
        f"{place} is {shown(value)}; it must be a list of 1 to {MOST} strings, booleans or numbers, whole ones below "
        "2^53.",
        param=place,
    )


def _is_scalar(value: Any) -> TypeGuard[Scalar]:
    if isinstance(value, float):
        return math.isfinite(value)
    # What is larger fits neither a column nor a store's number.
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) < WHOLE)


def shown(value: object) -> str:
    """Return a value as messages quote it."""
    said = "missing" if value is None else repr(value)
    return said if len(said) <= 80 else f"{said[:80]}…"
