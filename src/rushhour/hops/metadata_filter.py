"""Which metadata a filter lets through, in the spelling of Mongo and Pinecone.

A record without the key fails every comparison but `$ne` and `$nin`. Numbers compare with numbers and strings with
strings; `true` is not 1.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rushhour.errors import Rejected

Test: TypeAlias = Callable[[Mapping[str, Any]], bool]

_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS: Final = ("$eq", "$ne", "$in", "$nin", *_ORDERINGS)


def metadata_test(wanted: Mapping[str, Any]) -> Test:
    """Return a predicate on metadata: `{"file": "a.md"}`, `{"page": {"$gte": 3}}`, `{"$or": [{…}, {…}]}`.

    All keys and all operators of a key must hold. Raises Rejected for an operator it does not know.
    """
    tests = [
        _compound_test(key, value) if key.startswith("$") else _key_test(key, value) for key, value in wanted.items()
    ]
    return tests[0] if len(tests) == 1 else lambda metadata: all(test(metadata) for test in tests)


def _compound_test(name: str, parts: Any) -> Test:
    if name not in ("$and", "$or"):
        raise Rejected(
            f"The filter operator {name!r} is not supported there; name metadata keys: {{'file': 'a.md'}}, or join "
            "filters with '$and' and '$or'."
        )
    if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(part, Mapping) for part in parts):
        raise Rejected(f"The filter {name!r} holds {parts!r}; it joins a list of filters.")
    tests = [metadata_test(part) for part in parts]
    if name == "$and":
        return lambda metadata: all(test(metadata) for test in tests)
    return lambda metadata: any(test(metadata) for test in tests)


def _key_test(key: str, value: Any) -> Test:
    if not isinstance(value, Mapping):
        return _comparison(key, "$eq", value)
    if not value:
        raise Rejected(
            f"The filter on {key!r} compares it with nothing; give a plain value or {', '.join(_OPERATORS)}."
        )
    tests = [_comparison(key, name, compared) for name, compared in value.items()]
    return tests[0] if len(tests) == 1 else lambda metadata: all(test(metadata) for test in tests)


def _comparison(key: str, name: str, value: Any) -> Test:
    if name in ("$eq", "$ne"):
        return _one_of(key, [value], among=name == "$eq")
    if name in ("$in", "$nin") and isinstance(value, (list, tuple)):
        return _one_of(key, value, among=name == "$in")
    if name in _ORDERINGS and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return _ordered(key, name, value)
    raise Rejected(
        f"The filter on {key!r} is { ({name: value})!r}; supported are a plain value and {', '.join(_OPERATORS)}: "
        "'$in' and '$nin' with a list, orderings with a string or a number."
    )


def _one_of(key: str, values: list[Any] | tuple[Any, ...], *, among: bool) -> Test:
    for value in values:
        if not isinstance(value, (str, int, float)):
            raise Rejected(f"The filter on {key!r} compares with {value!r}; give a string, a number or a boolean.")
    listed = {(isinstance(value, bool), value) for value in values}  # True is no 1 in JSON

    def test(metadata: Mapping[str, Any]) -> bool:
        found = metadata.get(key)
        known = isinstance(found, (str, int, float)) and (isinstance(found, bool), found) in listed
        return known is among

    return test


def _ordered(key: str, name: str, value: str | float) -> Test:
    compare = _ORDERINGS[name]
    kinds = (str,) if isinstance(value, str) else (int, float)

    def test(metadata: Mapping[str, Any]) -> bool:
        found = metadata.get(key)
        return isinstance(found, kinds) and not isinstance(found, bool) and compare(found, value)

    return test
