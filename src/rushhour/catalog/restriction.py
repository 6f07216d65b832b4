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
_COLUMNS: Final = {**_TEXTS, "page": "chunks.page"}
_TEXT: Final = "'text'"
_NUMBER: Final = "'integer', 'real'"
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
    if not operators:
        raise InvalidRequest(f"The filter on {key!r} compares it with nothing; give a value or a comparison.")
    return _joined(" AND ", [_comparison(key, name, value) for name, value in operators.items()])


def _comparison(key: str, name: str, value: Any) -> Condition:
    if name in ("$eq", "$ne"):
        return _negated(_among(key, [value]), yes=name == "$eq")
    if name in ("$in", "$nin") and isinstance(value, list):
        return _negated(_among(key, value), yes=name == "$in")
    if name in _ORDERINGS and not isinstance(value, bool):
        return _ordered(key, _ORDERINGS[name], value)
    raise InvalidRequest(f"The filter on {key!r} is { ({name: value})!r}; that comparison is not supported.")


def _among(key: str, values: list[Any]) -> Condition:
    """Compare with all values at once: a chunk's metadata is read once, however many they are."""
    if key in _COLUMNS:
        fitting = [value for value in values if _fits(key, value)]
        return (f"coalesce({_COLUMNS[key]} IN ({_marks(fitting)}), 0)", fitting) if fitting else ("0", [])
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(_kinds(key, value), []).append(value)
    return _in_metadata(
        key,
        _joined(
            " OR ",
            [(f"one.type IN ({kinds}) AND one.value IN ({_marks(some)})", some) for kinds, some in by_kind.items()],
        ),
    )


def _ordered(key: str, sign: str, value: Any) -> Condition:
    if key in _COLUMNS:
        return (f"coalesce({_COLUMNS[key]} {sign} ?, 0)", [value]) if _fits(key, value) else ("0", [])
    return _in_metadata(key, (f"one.type IN ({_kinds(key, value)}) AND one.value {sign} ?", [value]))


def _in_metadata(key: str, holds: Condition) -> Condition:
    # Of all ways into the JSON the only one that finds a key whatever characters are in it.
    found = f"one.key = ? AND {holds[0]}"
    return f"EXISTS (SELECT 1 FROM json_each(chunks.metadata) AS one WHERE {found})", [key, *holds[1]]  # noqa: S608  # constants


def _fits(key: str, value: Any) -> bool:
    """Whether a chunk's own field can be compared with the value."""
    kinds = _kinds(key, value)
    return kinds == _TEXT if key in _TEXTS else kinds == _NUMBER


def _kinds(key: str, value: Any) -> str:
    """Name the kinds of JSON values that this one compares with; raises InvalidRequest if there are none."""
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, int | float):
        return _NUMBER
    raise InvalidRequest(f"The filter on {key!r} compares with {value!r}; give a string, a number or a boolean.")


def _marks(values: list[Any]) -> str:
    return ", ".join("?" * len(values))


def _negated(inner: Condition, *, yes: bool) -> Condition:
    return inner if yes else (f"NOT {inner[0]}", inner[1])


def _joined(joint: str, parts: list[Condition]) -> Condition:
    if not parts:
        return ("1", []) if joint == " AND " else ("0", [])
    return f"({joint.join(part[0] for part in parts)})", [value for part in parts for value in part[1]]
