"""Rate limits as providers state them in headers, for whoever paces the calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rushhour.flow.call import Call, Event
from rushhour.hops.durations import number, span


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit of a provider: how much in all, how much is left, seconds until it is full again.

    OpenAI's `reset` is the time until full of a continuous bucket, so (limit, remaining, reset) tell its depth
    and its rate. What a provider leaves out, or writes wrongly, is None.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None

    @property
    def spent(self) -> bool:
        """Whether the provider says that nothing is left."""
        return self.remaining is not None and self.remaining <= 0


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The limits on requests and on tokens that one reply stated."""

    requests: Allowance | None = None
    tokens: Allowance | None = None


@dataclass(frozen=True, slots=True)
class LimitsSeen(Event):
    """A provider stated its limits; pacing may learn from it."""

    limits: LimitHeaders


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
