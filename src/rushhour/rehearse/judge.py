"""Was this user served? One verdict a visit, from what arrived on the wire alone."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping
from typing import Any

_MARKER = re.compile(r"\s*\[\d+\]")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "\u00a0": " "})

PASSED_ON_429 = "upstream_429"
"""The provider's own 429, handed to the user."""


class Outcome(enum.StrEnum):
    """How a visit ended."""

    ANSWERED = "answered"
    """A whole answer that quotes the right sentence."""
    WRONG = "wrong"
    """A whole answer that does not: another one's, an excuse, or cut short without saying so."""
    REFUSED = "refused"
    """An honest no: 429 of the pipeline's own, with a time to come back."""
    FAILED = "failed"
    """Anything else; the kind says what."""


def quotes(answer: str, gold: str) -> bool:
    """Say whether an answer quotes the whole gold, whatever its line breaks, quote signs and `[n]` marks."""
    return _plain(gold).rstrip(".") in _plain(answer)


def judge_answer(answer: str, gold: str) -> Outcome:
    """Judge the text of a reply that ended as it should; without a gold, any that is not empty will do."""
    right = quotes(answer, gold) if gold else bool(answer.strip())
    return Outcome.ANSWERED if right else Outcome.WRONG


def judge_status(status: int, headers: Mapping[str, str], body: Any) -> tuple[Outcome, str]:
    """Judge a reply that is not 200: an honest refusal, or a failure and its kind.

    `headers` are looked up in lower case; `body` is the decoded JSON, or None. A 429 is honest when the pipeline
    says it as its own and gives a time; the provider's 429 handed on is a failure.
    """
    kind = error_kind(body) or f"http_{status}"
    if status == 429 and advised_wait(headers) is not None and kind != PASSED_ON_429:
        return Outcome.REFUSED, ""
    if status == 429:
        return Outcome.FAILED, PASSED_ON_429
    return Outcome.FAILED, kind


def advised_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds for which a reply asks its reader to stay away, to the millisecond where it says so."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < math.inf:
            return seconds
    return None


def degraded_in(body: Any) -> tuple[str, ...]:
    """Return in what ways an answer says that it is less than it could be; empty where it has no such receipt."""
    receipt = body.get("rushhour") if isinstance(body, dict) else None
    labels = receipt.get("degraded") if isinstance(receipt, dict) else None
    return tuple(str(label) for label in labels) if isinstance(labels, list) else ()


def error_kind(body: Any) -> str:
    """Name the failure in an OpenAI-shaped error object; empty when there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    kind = str(error.get("code") or error.get("type") or "error")
    return PASSED_ON_429 if kind == "rate_limit_exceeded" else kind


def advised_in(body: Any) -> float | None:
    """Return the seconds after which an error in a stream says that asking again can help."""
    error = body.get("error") if isinstance(body, dict) else None
    wait_ms = error.get("retry_after_ms") if isinstance(error, dict) else None
    return wait_ms / 1000 if isinstance(wait_ms, int | float) and 0 <= wait_ms < math.inf else None


def _plain(text: str) -> str:
    return " ".join(_MARKER.sub("", text.translate(_QUOTES)).casefold().split())
