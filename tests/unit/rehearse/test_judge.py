"""Right, wrong, refused, failed: told apart from what arrived."""

from typing import Any

import pytest

from rushhour.rehearse.judge import Outcome, advised_wait, degraded_in, error_kind, judge_answer, judge_status, quotes

GOLD = 'The "with" statement guarantees that the context manager’s "__exit__()" will always be called.'


@pytest.mark.parametrize(
    "answer",
    [
        f"As the manual says: {GOLD}",
        GOLD.replace(" ", "\n   "),
        GOLD.replace('"', "”").replace("’", "'").upper(),
        f"“{GOLD.rstrip('.')}” [2].",
        GOLD.replace("guarantees", "guarantees [1]"),
    ],
)
def test_a_quote_is_right_however_it_is_set(answer: str) -> None:
    """Line breaks, quote signs, case and citation marks do not matter."""
    assert judge_answer(answer, GOLD) is Outcome.ANSWERED


@pytest.mark.parametrize("answer", ["", "I do not know.", GOLD[: len(GOLD) // 2], "The del statement deletes names."])
def test_anything_less_is_wrong(answer: str) -> None:
    """An excuse, a fragment, or another's answer does not serve the user."""
    assert not quotes(answer, GOLD)
    assert judge_answer(answer, GOLD) is Outcome.WRONG


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (429, {"retry-after": "3"}, {"error": {"code": "overloaded"}}, (Outcome.REFUSED, "")),
        (429, {"retry-after-ms": "900"}, None, (Outcome.REFUSED, "")),
        (429, {}, {"error": {"code": "overloaded"}}, (Outcome.FAILED, "upstream_429")),
        (429, {"retry-after": "3"}, {"error": {"code": "rate_limit_exceeded"}}, (Outcome.FAILED, "upstream_429")),
        (
            500,
            {},
            {"error": {"code": "rate_limit_exceeded", "type": "RateLimitError"}},
            (Outcome.FAILED, "upstream_429"),
        ),
        (500, {}, {"error": {"code": None, "type": "APIConnectionError"}}, (Outcome.FAILED, "APIConnectionError")),
        (502, {"retry-after": "3"}, None, (Outcome.FAILED, "http_502")),
        (500, {}, "Internal Server Error", (Outcome.FAILED, "http_500")),
    ],
)
def test_statuses(status: int, headers: dict[str, str], body: Any, expected: tuple[Outcome, str]) -> None:
    """Only the pipeline's own 429 with a time to come back is honest; the provider's handed on is not."""
    assert judge_status(status, headers, body) == expected


def test_without_a_gold_any_whole_answer_will_do() -> None:
    """An app of somebody's own knows things that this test does not; an empty answer is none."""
    assert judge_answer("Whatever it says.", "") is Outcome.ANSWERED
    assert judge_answer(" \n", "") is Outcome.WRONG


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "3", "retry-after-ms": "2750"}, 2.75),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
        ({}, None),
    ],
)
def test_the_time_to_come_back_is_read(headers: dict[str, str], wait: float | None) -> None:
    """To the millisecond where it is told so; a refusal that names no usable time is not honest."""
    assert advised_wait(headers) == wait
    assert (judge_status(429, headers, None)[0] is Outcome.REFUSED) == (wait is not None)


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ({"rushhour": {"degraded": ["extractive", "no_rerank"]}}, ("extractive", "no_rerank")),
        ({"rushhour": {"degraded": []}}, ()),
        ({"rushhour": None}, ()),
        ({"choices": []}, ()),
        (None, ()),
    ],
)
def test_what_an_answer_says_it_lacks_is_read(body: Any, labels: tuple[str, ...]) -> None:
    """From a receipt, where there is one."""
    assert degraded_in(body) == labels


@pytest.mark.parametrize("body", [None, [], "text", {}, {"error": "text"}, {"error": None}])
def test_a_reply_without_an_error_has_no_kind(body: Any) -> None:
    """Whatever shape arrives, judging it does not fail."""
    assert error_kind(body) == ""
