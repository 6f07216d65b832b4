"""What people say of documents, as they type it."""

from __future__ import annotations

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rag.documents.metadata import LONGEST, MOST, read_metadata


def test_values_are_what_they_look_like() -> None:
    """Numbers and truth values are compared as such, unless they stand in quotes."""
    read = read_metadata(
        ["year=2026", "team = billing ", "draft=false", 'code="007"', "share=0.5", "zip=00123", "q=a=b"]
    )

    assert dict(read) == {
        "year": 2026,
        "team": "billing",
        "draft": False,
        "code": "007",
        "share": 0.5,
        "zip": "00123",
        "q": "a=b",
    }


def test_the_order_does_not_matter() -> None:
    """The same said in another order is the same: nothing is ingested anew."""
    assert read_metadata(["a=1", "b=2"]) == read_metadata(["b=2", "a=1"])


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["billing"], "is no KEY=VALUE"),
        (["team=caf\udce9"], "is no UTF-8"),
        (["=x"], "is no KEY=VALUE"),
        (["team="], "is no KEY=VALUE"),
        (["page=3"], "which documents have anyway"),
        (["a=1", "a=2"], "sets 'a' twice"),
        (["a=" + "x" * (LONGEST + 1)], "is longer than"),
        ([f"k{n}=1" for n in range(MOST + 1)], "keys are the most"),
        (["n=1e999"], "too large for a number"),
        (["n=" + "9" * 400], "too large for a number"),
        (["$or=1"], "is no KEY=VALUE"),
    ],
)
def test_what_is_none_is_told(texts: list[str], reason: str) -> None:
    """With the name, the value and how it is written."""
    with pytest.raises(InvalidRequest, match=reason):
        read_metadata(texts)
