"""Rate limits as providers state them in headers, for whoever paces the calls."""

from __future__ import annotations

from collections.abc import Mapping

from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call
from rushhour.hops.durations import number, span

__all__ = ["Allowance", "LimitHeaders", "LimitsSeen", "emit_limits", "limit_headers"]


def limit_headers(headers: Mapping[str, str]) -> LimitHeaders | None:
    """Read OpenAI's or Anthropic's headers (names in lower case); None where there are none."""
    found = LimitHeaders(
        _openai(headers, "requests") or _anthropic(headers, "requests"),
        _openai(headers, "tokens") or _anthropic(headers, "tokens") or _anthropic(headers, "input-tokens"),
    )
    return None if found.requests is None and found.tokens is None else found


def emit_limits(headers: Mapping[str, str], call: Call) -> None:
    """Tell the call's sink the limits that a reply stated, if it did."""
    limits = limit_headers(headers)
    if limits is not None:
        call.emit(LimitsSeen(call.hop, limits))


def _openai(headers: Mapping[str, str], what: str) -> Allowance | None:
    return _allowance(
        headers, f"x-ratelimit-limit-{what}", f"x-ratelimit-remaining-{what}", f"x-ratelimit-reset-{what}"
    )


def _anthropic(headers: Mapping[str, str], what: str) -> Allowance | None:
    name = f"anthropic-ratelimit-{what}"
    return _allowance(headers, f"{name}-limit", f"{name}-remaining", f"{name}-reset")


def _allowance(headers: Mapping[str, str], limit: str, remaining: str, reset: str) -> Allowance | None:
    stated = Allowance(
        _count(headers.get(limit)),
        _count(headers.get(remaining)),
        span(headers[reset], headers) if reset in headers else None,
    )
    return stated if stated != Allowance() else None


def _count(text: str | None) -> float | None:
    value = number(text) if text is not None else None
    return value if value is not None and value >= 0 else None
