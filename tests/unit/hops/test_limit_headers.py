"""Limits as providers state them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.flow.call import Call, Event
from rushhour.hops.durations import LONGEST_S
from rushhour.hops.limit_headers import (
    Allowance,
    LimitHeaders,
    LimitsSeen,
    emit_limits,
    grants_nothing,
    limit_headers,
    stated_limits,
)


def test_reads_openais_spelling() -> None:
    """Counts are numbers, resets are Go durations."""
    found = limit_headers(
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert found == LimitHeaders(Allowance(5000, 4999, 0.012), Allowance(2_000_000, 0, 360))
    assert found.tokens is not None
    assert found.tokens.spent


def test_reads_anthropics_spelling() -> None:
    """Resets are moments, measured from the reply's own date; input tokens stand in for tokens."""
    found = limit_headers(
        {
            "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-10-21T07:28:02Z",
            "anthropic-ratelimit-input-tokens-remaining": "1000",
        }
    )
    assert found == LimitHeaders(Allowance(50, 49, 2), Allowance(None, 1000, None))


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (  # Azure, on success
            {"x-ratelimit-remaining-requests": "79", "x-ratelimit-remaining-tokens": "61353"},
            Allowance(None, 79),
            Allowance(None, 61_353),
        ),
        (  # Azure, on a 429
            {"x-rate-limit-reset-tokens": "55", "x-ratelimit-remaining-requests": "9"},
            Allowance(None, 9),
            Allowance(None, None, 55),
        ),
        (  # OpenAI: the project's own limit is the lower one
            {
                "x-ratelimit-limit-tokens": "200000",
                "x-ratelimit-remaining-tokens": "199000",
                "x-ratelimit-reset-tokens": "300ms",
                "x-ratelimit-limit-project-tokens": "60000",
                "x-ratelimit-remaining-project-tokens": "57000",
                "x-ratelimit-reset-project-tokens": "3s",
            },
            None,
            Allowance(60_000, 57_000, 3),
        ),
        (  # OpenAI: the organisation's is
            {"x-ratelimit-limit-tokens": "30000", "x-ratelimit-limit-project-tokens": "60000"},
            None,
            Allowance(30_000),
        ),
        (  # Groq: a day's requests, a minute's tokens, and only `reset` tells
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-limit-tokens": "18000",
                "x-ratelimit-remaining-tokens": "17997",
                "x-ratelimit-reset-tokens": "7.66s",
            },
            Allowance(14_400, 14_370, 179.56),
            Allowance(18_000, 17_997, 7.66),
        ),
        (  # Mistral
            {
                "x-ratelimit-limit-req-minute": "125",
                "x-ratelimit-remaining-req-minute": "124",
                "x-ratelimit-limit-tokens-minute": "625000",
                "x-ratelimit-remaining-tokens-minute": "624990",
            },
            Allowance(125, 124, None, 60),
            Allowance(625_000, 624_990, None, 60),
        ),
        (  # Mistral, as it was
            {
                "x-ratelimitbysize-limit-minute": "500000",
                "x-ratelimitbysize-remaining-minute": "499900",
                "ratelimitbysize-reset": "12",
            },
            None,
            Allowance(500_000, 499_900, 12, 60),
        ),
        (  # Cerebras
            {
                "x-ratelimit-limit-requests-day": "1000000000",
                "x-ratelimit-limit-tokens-minute": "1000000000",
                "x-ratelimit-remaining-requests-day": "999997455",
                "x-ratelimit-remaining-tokens-minute": "999998298",
                "x-ratelimit-reset-requests-day": "33011.382867",
                "x-ratelimit-reset-tokens-minute": "11.382867",
            },
            Allowance(1e9, 999_997_455, 33_011.382867, 86_400),
            Allowance(1e9, 999_998_298, 11.382867, 60),
        ),
        (  # Cohere, for trial keys
            {"x-trial-endpoint-call-limit": "20", "x-trial-endpoint-call-remaining": "19"},
            Allowance(20, 19, None, 60),
            None,
        ),
        (  # a gateway that counts seconds, and one that tells the moment
            {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "99", "x-ratelimit-reset": "7"},
            Allowance(100, 99, 7),
            None,
        ),
        (
            {
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
                "x-ratelimit-limit": "100",
                "x-ratelimit-remaining": "99",
                "x-ratelimit-reset": "1792567687000",
            },
            Allowance(100, 99, 7),
            None,
        ),
        (  # the IETF's draft, now, in its 7th edition, and in its 6th
            {"ratelimit-policy": '"b";q=100;w=60,"d";q=1000;w=86400', "ratelimit": '"b";r=50;t=30,"d";r=20;t=600'},
            Allowance(1000, 20, 600, 86_400),
            None,
        ),
        (
            {"ratelimit-policy": "100;w=60", "ratelimit": "limit=100, remaining=50, reset=30"},
            Allowance(100, 50, 30, 60),
            None,
        ),
        (
            {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
            Allowance(100, 50, 30),
            None,
        ),
    ],
)
def test_reads_every_spelling(headers: dict[str, str], requests: Allowance | None, tokens: Allowance | None) -> None:
    """Windows are told where the provider names them."""
    assert limit_headers(headers) == LimitHeaders(requests, tokens)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"},
        {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "101", "x-ratelimit-reset-tokens": "0"},
        {"x-ratelimit-limit-tokens": "1e300", "x-ratelimit-remaining-tokens": "inf", "x-ratelimit-reset-tokens": "0s"},
    ],
)
def test_what_cannot_be_is_not_believed(headers: dict[str, str]) -> None:
    """Azure has stated limits of -1; and of two counts that contradict each other nobody knows which is wrong."""
    assert limit_headers(headers) == LimitHeaders(None, Allowance(None, None, 0.0))


def test_a_plan_without_the_model_grants_nothing() -> None:
    """Mistral's limit of 0 is told apart from a limit that is used up."""
    headers = {"x-ratelimit-limit-req-minute": "0", "x-ratelimit-remaining-req-minute": "0"}
    assert grants_nothing(headers)
    assert limit_headers(headers) == LimitHeaders(Allowance(None, 0, None, 60), None)
    assert not grants_nothing({"x-ratelimit-limit-requests": "5", "x-ratelimit-remaining-requests": "0"})
    assert not grants_nothing({"x-ratelimit-limit-tokens": "0"})


def test_output_tokens_are_stated_but_not_paced_to() -> None:
    """A limit on what is generated may have refused a call, though no call can be charged against it in advance."""
    headers = {"anthropic-ratelimit-output-tokens-limit": "8000", "anthropic-ratelimit-output-tokens-remaining": "0"}
    assert limit_headers(headers) is None
    assert list(stated_limits(headers)) == [Allowance(8000, 0)]


NAMES = st.sampled_from(
    [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit-req-minute",
        "date",
    ]
)
VALUES = st.text(max_size=30) | st.sampled_from(
    ["-1", "0", "1", "nan", "inf", "1e999", "9" * 400, "1_0", "12ms", '"a";r=1;t=2', '"a";q=-1;w=1e9', '"a";r', "r=1",
     "limit=1, remaining=2", "2026-10-21T07:28:02Z", "Wed, 21 Oct 2026 07:28:00 GMT", "٣", "0x10"]
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=10))
def test_no_header_leads_to_nonsense(headers: dict[str, str]) -> None:
    """Whatever is stated, what is passed on is possible."""
    stated = list(stated_limits(headers))
    limits = limit_headers(headers)
    if limits is not None:
        stated += [one for one in (limits.requests, limits.tokens) if one is not None]
    for one in stated:
        assert one.limit is None or 0 < one.limit < 1e12
        assert one.remaining is None or 0 <= one.remaining < 1e12
        assert one.limit is None or one.remaining is None or one.remaining <= one.limit
        assert one.reset_s is None or 0 <= one.reset_s <= LONGEST_S


def test_what_is_malformed_is_absent() -> None:
    """A wrong number spoils only itself."""
    headers = {
        "x-ratelimit-limit-requests": "many",
        "x-ratelimit-remaining-requests": "-3",
        "x-ratelimit-reset-requests": "1s",
    }
    assert limit_headers(headers) == LimitHeaders(Allowance(None, None, 1.0), None)


def test_says_nothing_where_nothing_is_stated() -> None:
    """No headers, no event."""
    seen: list[Event] = []
    emit_limits({"content-type": "text/html"}, Call(emit=seen.append))
    assert seen == []


def test_tells_the_sink_and_the_hop() -> None:
    """Pacing learns whose limits these are."""
    seen: list[Event] = []
    emit_limits({"x-ratelimit-limit-requests": "60"}, Call(emit=seen.append, hop="embed"))
    assert seen == [LimitsSeen("embed", LimitHeaders(Allowance(60), None))]
