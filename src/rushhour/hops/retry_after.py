"""When a provider says to come back: in its headers, its body, or a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rushhour.hops.durations import go_duration, number, sensible, span
from rushhour.hops.limit_headers import stated_limits

_TRY_AGAIN = re.compile(
    r"(?:try again|retry|retry again)\s+(?:in|after)\s+(\d[\d.]*)\s*(milliseconds?|seconds?|minutes?)\b", re.IGNORECASE
)
_TRY_AGAIN_GO = re.compile(r"(?:try again|retry)\s+(?:in|after)\s+([\d.]+[a-zµμ][\da-zµμ.]*)", re.IGNORECASE)
_WORDS = {"millisecond": 1e-3, "second": 1.0, "minute": 60.0}


def advised_wait(headers: Mapping[str, str], message: str, details: Sequence[Any] = ()) -> float | None:
    """Return the seconds a provider asks us to wait, None if it does not say.

    The most exact statement wins: `retry-after-ms`, `retry-after` (seconds or a date), Google's RetryInfo in
    `details`, "try again in 522ms" in the message, and last the reset of a limit that is used up. Statements
    that are malformed, negative or longer than a week are as good as absent; a wait of 0, which may be a rounded
    fraction or a date of a clock that is wrong, counts only if nothing else is said.
    """
    none_needed = False
    for wait in _statements(headers, message, details):
        if wait:
            return wait
        none_needed = none_needed or wait is not None
    return 0.0 if none_needed else None


def _statements(headers: Mapping[str, str], message: str, details: Sequence[Any]) -> Iterator[float | None]:
    yield _milliseconds(headers.get("retry-after-ms"))
    yield span(headers["retry-after"], headers) if "retry-after" in headers else None
    yield _retry_info(details)
    yield _sentence(message)
    yield _reset(headers)


def _milliseconds(text: str | None) -> float | None:
    value = number(text) if text is not None else None
    return sensible(value / 1000) if value is not None else None


def _retry_info(details: Sequence[Any]) -> float | None:
    for detail in details:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            return go_duration(delay)
        if isinstance(delay, dict) and isinstance(seconds := delay.get("seconds"), str | int | float):
            whole = number(str(seconds))  # a 64-bit integer is a string in protobuf's JSON
            return sensible(whole)
    return None


def _sentence(message: str) -> float | None:
    if found := _TRY_AGAIN.search(message):
        count = number(found[1])
        return sensible(count * _WORDS[found[2].lower().removesuffix("s")]) if count is not None else None
    if found := _TRY_AGAIN_GO.search(message):
        return go_duration(found[1].rstrip("."))
    return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return when the last used-up limit is full again; one that does not say what is left may be the one."""
    resets = [
        limit.reset_s
        for limit in stated_limits(headers)
        if limit.reset_s is not None and (limit.spent or limit.remaining is None)
    ]
    return max(resets, default=None)
