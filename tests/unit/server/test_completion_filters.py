"""The `filters` of a chat completion: an extension in the shape of OpenAI's vector-store search."""

from typing import Any

import msgspec
import pytest

from rushhour.errors import InvalidRequest
from rushhour.rag.retrieval.filters import Comparison
from rushhour.server.completion_request import parse


def body(**more: Any) -> bytes:
    """Write a request."""
    return msgspec.json.encode({"model": "manual", "messages": [{"role": "user", "content": "q"}], **more})


def test_filters_reach_the_question() -> None:
    """None where there are none."""
    wanted = {"type": "gte", "key": "page", "value": 3}

    assert parse(body(filters=wanted)).question.filters == Comparison("gte", "page", 3)
    assert parse(body()).question.filters is None
    assert parse(body(filters=None)).question.filters is None


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("page>=3", "filters"),
        ({"type": "between", "key": "page", "value": 3}, "filters.type"),
        ({"type": "and", "filters": [{"type": "eq", "key": "page"}]}, "filters.filters[0].value"),
    ],
)
def test_a_wrong_filter_is_a_400_that_names_its_place(given: Any, param: str) -> None:
    """Ignoring it would let the client take the answer for something it is not."""
    with pytest.raises(InvalidRequest) as refused:
        parse(body(filters=given))
    assert (refused.value.status, refused.value.param) == (400, param)
