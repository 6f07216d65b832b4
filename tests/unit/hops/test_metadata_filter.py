"""Filters on metadata."""

from typing import Any

import pytest

from rushhour.errors import Rejected
from rushhour.hops.metadata_filter import metadata_test


@pytest.mark.parametrize(
    ("wanted", "metadata", "passes"),
    [
        ({}, {"file": "a"}, True),
        ({"file": "a"}, {"file": "a"}, True),
        ({"file": "a"}, {"file": "b"}, False),
        ({"file": "a"}, {}, False),
        ({"file": "a", "page": 3}, {"file": "a", "page": 3.0}, True),
        ({"file": "a", "page": 3}, {"file": "a", "page": 4}, False),
        ({"page": {"$eq": 3}}, {"page": 3}, True),
        ({"file": {"$in": ["a", "b"]}}, {"file": "b"}, True),
        ({"file": {"$in": []}}, {"file": "b"}, False),
        ({"draft": True}, {"draft": 1}, False),
        ({"draft": 1}, {"draft": True}, False),
        ({"draft": True}, {"draft": True}, True),
        ({"page": 3}, {"page": "3"}, False),
    ],
)
def test_equality_and_membership(wanted: dict[str, Any], metadata: dict[str, Any], passes: bool) -> None:
    """All keys must hold; a truth value is no number."""
    assert metadata_test(wanted)(metadata) is passes


@pytest.mark.parametrize(
    ("wanted", "metadata", "passes"),
    [
        ({"page": {"$gt": 3}}, {"page": 4}, True),
        ({"page": {"$gt": 3}}, {"page": 3}, False),
        ({"page": {"$gte": 3, "$lt": 5}}, {"page": 3.5}, True),
        ({"page": {"$gte": 3, "$lt": 5}}, {"page": 5}, False),
        ({"page": {"$lte": 3}}, {"page": "2"}, False),
        ({"page": {"$gte": 0}}, {"page": True}, False),
        ({"page": {"$gte": 0}}, {"page": None}, False),
        ({"day": {"$lt": "2026-02"}}, {"day": "2026-01-31"}, True),
        ({"page": {"$ne": 3}}, {"page": 3}, False),
        ({"page": {"$ne": 3}}, {}, True),
        ({"page": {"$nin": [3, 4]}}, {"page": 4}, False),
        ({"page": {"$nin": [3, 4]}}, {"page": "4"}, True),
        ({"$and": [{"page": 3}, {"file": "a"}]}, {"page": 3, "file": "b"}, False),
        ({"$or": [{"page": 3}, {"file": "a"}]}, {"page": 3, "file": "b"}, True),
        ({"$or": [{"page": 3}, {"file": "a"}], "lang": "en"}, {"page": 3, "lang": "de"}, False),
    ],
)
def test_comparisons_and_compounds(wanted: dict[str, Any], metadata: dict[str, Any], passes: bool) -> None:
    """Kinds compare with their own kind; what lacks the key passes a negation alone."""
    assert metadata_test(wanted)(metadata) is passes


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"$or": []}, r"\$or"),
        ({"$or": ["a"]}, r"\$or"),
        ({"$nor": [{"page": 3}]}, r"\$nor"),
        ({"page": {"$gt": True}}, r"\$gt"),
        ({"page": {"$exists": True}}, r"\$exists"),
        ({"page": {"$in": "abc"}}, r"\$in"),
        ({"page": None}, "None"),
        ({"page": {}}, "with nothing"),
        ({"page": {"$in": [[1]]}}, r"\[1\]"),
    ],
)
def test_what_is_not_supported_is_named(wanted: dict[str, Any], named: str) -> None:
    """A filter that cannot be obeyed is refused, never ignored."""
    with pytest.raises(Rejected, match=named):
        metadata_test(wanted)
