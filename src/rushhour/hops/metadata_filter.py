"""Which records a metadata filter lets through: equality and membership, in Pinecone's spelling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rushhour.errors import Rejected

Test: TypeAlias = Callable[[Mapping[str, Any]], bool]


def metadata_test(wanted: Mapping[str, Any]) -> Test:
    """Return a predicate on metadata: `{"file": "a.md"}`, `{"page": {"$eq": 3}}`, `{"lang": {"$in": ["en", "de"]}}`.

    All keys must hold. Raises Rejected for an operator it does not know.
    """
    tests = [_key_test(key, value) for key, value in wanted.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _key_test(key: str, value: Any) -> Test:
    if key.startswith("$"):
        raise Rejected(f"The filter operator {key!r} is not supported; name metadata keys: {{'file': 'a.md'}}.")
    if not isinstance(value, Mapping):
        return _one_of(key, [value])
    if set(value) == {"$eq"}:
        return _one_of(key, [value["$eq"]])
    if set(value) == {"$in"} and isinstance(value["$in"], (list, tuple)):
        return _one_of(key, value["$in"])
    raise Rejected(
        f"The filter on {key!r} is {dict(value)!r}; supported are a plain value, '$eq' and '$in' with a list."
    )


def _one_of(key: str, values: list[Any] | tuple[Any, ...]) -> Test:
    for value in values:
        if not isinstance(value, (str, int, float)):
            raise Rejected(f"The filter on {key!r} compares with {value!r}; give a string, a number or a boolean.")
    allowed = {(isinstance(value, bool), value) for value in values}  # True is no 1 in JSON

    def test(metadata: Mapping[str, Any]) -> bool:
        found = metadata.get(key)
        if isinstance(found, (str, int, float)):
            return (isinstance(found, bool), found) in allowed
        return False

    return test
