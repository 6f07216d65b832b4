"""Limits as providers state them."""

from __future__ import annotations

from rushhour.flow.call import Call, Event
from rushhour.hops.limit_headers import Allowance, LimitHeaders, LimitsSeen, emit_limits, limit_headers


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
