"""Rate limits as providers state them in headers, for whoever paces the calls.

A new spelling is one line in a table below. Sources: the API references of OpenAI, Anthropic, Azure, Groq, Cerebras,
Mistral and Cohere, and replies captured from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call
from rushhour.hops.durations import number, span
from rushhour.hops.ietf_limits import ietf_allowance

__all__ = ["Allowance", "LimitHeaders", "LimitsSeen", "emit_limits", "grants_nothing", "limit_headers", "stated_limits"]

MOST = 1e12
"""A larger count is no limit but a mistake."""

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class _Spelling:
    """The names of one limit's headers, and the window that they mean if the provider says so."""

    limit: str
    remaining: str
    resets: tuple[str, ...] = ()
    window_s: float | None = None


def _openai(what: str, window_s: float | None = None) -> _Spelling:
    resets = (f"x-ratelimit-reset-{what}", f"x-rate-limit-reset-{what}")  # the second is Azure's, on a 429
    return _Spelling(f"x-ratelimit-limit-{what}", f"x-ratelimit-remaining-{what}", resets, window_s)


def _anthropic(what: str) -> _Spelling:
    name = f"anthropic-ratelimit-{what}"
    return _Spelling(f"{name}-limit", f"{name}-remaining", (f"{name}-reset",))


_REQUESTS = (
    _openai("requests"),  # Azure, Groq
    _anthropic("requests"),
    _openai("req-minute", _MINUTE),  # Mistral
    _openai("requests-minute", _MINUTE),  # Cerebras, and the next two
    _openai("requests-hour", _HOUR),
    _openai("requests-day", _DAY),
    _Spelling("x-trial-endpoint-call-limit", "x-trial-endpoint-call-remaining", (), _MINUTE),  # Cohere
    _Spelling("x-ratelimit-limit", "x-ratelimit-remaining", ("x-ratelimit-reset",)),
    _Spelling("ratelimit-limit", "ratelimit-remaining", ("ratelimit-reset",)),
)
_PROJECT_TOKENS = _openai("project-tokens")
_TOKENS = (
    _openai("tokens"),
    _PROJECT_TOKENS,
    _anthropic("tokens"),
    _anthropic("input-tokens"),
    _openai("tokens-minute", _MINUTE),  # Mistral, Cerebras
    _Spelling(  # Mistral, before it renamed them
        "x-ratelimitbysize-limit-minute", "x-ratelimitbysize-remaining-minute", ("ratelimitbysize-reset",), _MINUTE
    ),
    _openai("tokens-hour", _HOUR),
    _openai("tokens-day", _DAY),
)
"""The first that is there is believed: the shorter windows, since a day's limit is no pace."""

_OTHERS = (_anthropic("output-tokens"),)
"""What nobody paces to, but may have been what refused a call."""


def limit_headers(headers: Mapping[str, str]) -> LimitHeaders | None:
    """Return the limits that headers state (names in lower case), as far as they make sense; None where there are none.

    Where a project has a limit on tokens of its own, the lower one counts.
    """
    if not any("limit" in name for name in headers):  # most replies of most providers: spare them all the spellings
        return None
    requests = _first(headers, _REQUESTS) or ietf_allowance(headers)
    tokens = _first(headers, _TOKENS)
    if tokens is not None and (project := _allowance(headers, _PROJECT_TOKENS)) is not None:
        tokens = min(project, tokens, key=lambda one: MOST if one.limit is None else one.limit)
    return None if requests is None and tokens is None else LimitHeaders(requests, tokens)


def stated_limits(headers: Mapping[str, str]) -> Iterator[Allowance]:
    """List every limit that headers state, whether it is of use for pacing or not."""
    for spelling in (*_REQUESTS, *_TOKENS, *_OTHERS):
        if (stated := _allowance(headers, spelling)) is not None:
            yield stated
    if (stated := ietf_allowance(headers)) is not None:
        yield stated


def grants_nothing(headers: Mapping[str, str]) -> bool:
    """Whether the account may make no request at all: a limit of 0, as Mistral states for a model outside the plan."""
    stated = (headers[spelling.limit] for spelling in _REQUESTS if spelling.limit in headers)
    return any(number(text) == 0 for text in stated)


def emit_limits(headers: Mapping[str, str], call: Call) -> None:
    """Tell the call's sink the limits that a reply stated, if it did."""
    limits = limit_headers(headers)
    if limits is not None:
        call.emit(LimitsSeen(call.hop, limits))


def _first(headers: Mapping[str, str], spellings: tuple[_Spelling, ...]) -> Allowance | None:
    for spelling in spellings:
        if (stated := _allowance(headers, spelling)) is not None:
            return stated
    return None


def _allowance(headers: Mapping[str, str], spelling: _Spelling) -> Allowance | None:
    limit = _count(headers.get(spelling.limit))
    remaining = _count(headers.get(spelling.remaining))
    if limit is not None and remaining is not None and remaining > limit:
        limit = remaining = None  # one of the two is wrong, and nothing tells which
    reset = next((span(headers[name], headers) for name in spelling.resets if name in headers), None)
    if limit is None and remaining is None and reset is None:
        return None
    return Allowance(limit or None, remaining, reset, spelling.window_s)


def _count(text: str | None) -> float | None:
    value = number(text) if text is not None else None
    return value if value is not None and 0 <= value < MOST else None
