"""A filter on metadata as an SQL condition on `chunks` joined with `files`.

Filters are spelled as `{"page": {"$gte": 3}}` or `{"$or": [{…}, {…}]}`. A chunk without the key fails every comparison
but `$ne` and `$nin`; numbers compare with numbers and strings with strings, and `true` is not 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from rushhour.errors import InvalidRequest

Condition: TypeAlias = tuple[str, list[Any]]
"""An SQL expression that is 0 or 1, never NULL, and the values of its parameters."""

_TEXTS: Final = {"file": "files.name", "title": "chunks.title", "source": "chunks.source", "heading": "chunks.heading"}
_NUMBERS: Final = {"page": "chunks.page"}
_ORDERINGS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def condition(where: Mapping[str, Any]) -> Condition:
    """Return the condition under which a chunk passes: all keys must hold. Raises InvalidRequest for another filter."""
    return _joined(
        " AND ", [_compound(key, value) if key.startswith("$") else _key(key, value) for key, value in where.items()]
    )


def _compound(name: str, parts: Any) -> Condition:
    joint = {"$and": " AND ", "$or": " OR "}.get(name)
    if joint is None or not isinstance(parts, list) or not parts:
        raise InvalidRequest(f"The filter {name!r} of {parts!r} is not supported; join a list with '$and' or '$or'.")
    return _joined(joint, [condition(part) for part in parts])


def _key(key: str, wanted: Any) -> Condition:
    operators = wanted if isinstance(wanted, Mapping) else {"$eq": wanted}
    return _joined(" AND ", [_comparison(key, name, value) for name, value in operators.items()])


def _comparison(key: str, name: str, value: Any) -> Condition:
    if name in ("$eq", "$ne"):
        return _negated(_compared(key, "=", value), yes=name == "$eq")
    if name in ("$in", "$nin") and isinstance(value, list):
        return _negated(_joined(" OR ", [_compared(key, "=", one) for one in value]), yes=name == "$in")
    if name in _ORDERINGS and not isinstance(value, bool):
        return _compared(key, _ORDERINGS[name], value)
    raise InvalidRequest(f"The filter on {key!r} is { ({name: value})!r}; that comparison is not supported.")


def _compared(key: str, sign: str, value: Any) -> Condition:
    if not isinstance(value, str | int | float):
        raise InvalidRequest(f"The filter on {key!r} compares with {value!r}; give a string, a number or a boolean.")
    if key in _TEXTS or key in _NUMBERS:
        fits = isinstance(value, str) if key in _TEXTS else not isinstance(value, str | bool)
        column = _TEXTS.get(key) or _NUMBERS[key]
        return (f"coalesce({column} {sign} ?, 0)", [value]) if fits else ("0", [])
    # Of all ways into the JSON the only one that finds a key whatever characters are in it.
    found = f"one.key = ? AND one.type IN ({_kinds(value)}) AND one.value {sign} ?"
    return f"EXISTS (SELECT 1 FROM json_each(chunks.metadata) AS one WHERE {found})", [key, value]  # noqa: S608  # constants


def _kinds(value: str | float) -> str:
    """Name the kinds of JSON values that this one compares with."""
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    return "'text'" if isinstance(value, str) else "'integer', 'real'"


def _negated(inner: Condition, *, yes: bool) -> Condition:
    return inner if yes else (f"NOT {inner[0]}", inner[1])


def _joined(joint: str, parts: list[Condition]) -> Condition:
    if not parts:
        return ("1", []) if joint == " AND " else ("0", [])
    return f"({joint.join(part[0] for part in parts)})", [value for part in parts for value in part[1]]
