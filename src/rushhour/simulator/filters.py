"""Pinecone's metadata filters: `{"genre": {"$in": ["a", "b"]}, "$or": [...]}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Metadata: TypeAlias = Mapping[str, Any]
Predicate: TypeAlias = Callable[[Any, Any], bool]


class FilterError(ValueError):
    """A filter that the store does not understand."""


def check(wanted: Mapping[str, Any]) -> None:
    """Raise FilterError for whatever part of a filter the store does not understand."""
    for key, value in wanted.items():
        if key in _COMBINE:
            if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
                raise FilterError(f"{key} takes a list of filters, got {value!r}")
            for part in value:
                check(part)
        elif key.startswith("$"):
            raise FilterError(f"{key} is not a known operator here; known are {', '.join(_COMBINE)}")
        else:
            for operator, operand in _conditions(value).items():
                if operator not in _OPERATORS:
                    raise FilterError(f"{operator} is not a known operator; known are {', '.join(_OPERATORS)}")
                _OPERATORS[operator](None, operand)


def matches(wanted: Mapping[str, Any], metadata: Metadata) -> bool:
    """Tell whether a record's metadata passes a filter that was checked."""
    return all(_clause(key, value, metadata) for key, value in wanted.items())


def _clause(key: str, value: Any, metadata: Metadata) -> bool:
    if key in _COMBINE:
        return _COMBINE[key](matches(part, metadata) for part in value)
    stored = metadata.get(key)
    return all(_OPERATORS[operator](stored, operand) for operator, operand in _conditions(value).items())


def _conditions(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {"$eq": value}


def _equal(stored: Any, operand: Any) -> bool:
    return operand in stored if isinstance(stored, list) else stored == operand


def _any_of(stored: Any, operand: Any) -> bool:
    if not isinstance(operand, list):
        raise FilterError(f"$in and $nin take a list, got {operand!r}")
    return any(_equal(stored, one) for one in operand)


def _ordered(compare: Callable[[float, float], bool]) -> Predicate:
    def test(stored: Any, operand: Any) -> bool:
        if not isinstance(operand, int | float):
            raise FilterError(f"a comparison takes a number, got {operand!r}")
        return isinstance(stored, int | float) and compare(stored, operand)

    return test


_COMBINE: dict[str, Callable[[Iterable[bool]], bool]] = {"$and": all, "$or": any}

_OPERATORS: dict[str, Predicate] = {
    "$eq": _equal,
    "$ne": lambda stored, operand: not _equal(stored, operand),
    "$in": _any_of,
    "$nin": lambda stored, operand: not _any_of(stored, operand),
    "$gt": _ordered(lambda stored, operand: stored > operand),
    "$gte": _ordered(lambda stored, operand: stored >= operand),
    "$lt": _ordered(lambda stored, operand: stored < operand),
    "$lte": _ordered(lambda stored, operand: stored <= operand),
    "$exists": lambda stored, operand: (stored is not None) == bool(operand),
}
