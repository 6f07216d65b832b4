"""When a provider says to come back: in five kinds of headers and three kinds of sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rushhour.hops.durations import go_duration, number, sensible, span
from rushhour.hops.limit_headers import limit_headers

_TRY_AGAIN = re.compile(
    r"(?:try again|retry|retry again)\s+(?:in|after)\s+(\d[\d.]*)\s*(milliseconds?|seconds?|minutes?)\b", re.IGNORECASE
)
_TRY_AGAIN_GO = re.compile(r"(?:try again|retry)\s+(?:in|after)\s+([\d.]+[a-zµμ][\da-zµμ.]*)", re.IGNORECASE)
_WORDS = {"millisecond": 1e-3, "second": 1.0, "minute": 60.0}


def advised_wait(headers: Mapping[str, str], message: str, details: Sequence[Any] = ()) -> float | None:
    """Return the seconds a provider asks us to wait, None if it does not say.

    The most exact statement wins: `retry-after-ms`, `retry-after` (seconds or a date), Google's RetryInfo in
    `details`, "try again in 522ms" in the message, and last the reset of a limit that is used up. Statements
    that are malformed, negative or longer than a week are as good as absent.
    """
    for wait in (
        _milliseconds(headers.get("retry-after-ms")),
        span(headers["retry-after"], headers) if "retry-after" in headers else None,
        _retry_info(details),
        _sentence(message),
        _reset(headers),
    ):
        if wait is not None:
            return wait
    return None


def _milliseconds(text: str | None) -> float | None:
    value = number(text) if text is not None else None
    return sensible(value / 1000) if value is not None else None


def _retry_info(details: Sequence[Any]) -> float | None:
    for detail in details:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            return go_duration(delay)
    return None


def _sentence(message: str) -> float | None:
    if found := _TRY_AGAIN.search(message):
        count = number(found[1])
        return sensible(count * _WORDS[found[2].lower().removesuffix("s")]) if count is not None else None
    if found := _TRY_AGAIN_GO.search(message):
        return go_duration(found[1].rstrip("."))
    return None


def _reset(headers: Mapping[str, str]) -> float | None:
    limits = limit_headers(headers)
    if limits is None:
        return None
    spent = [one.reset_s for one in (limits.requests, limits.tokens) if one and one.spent and one.reset_s is not None]
    return max(spent, default=None)
