"""Words for figures: the names of failures, and numbers with their units."""

from __future__ import annotations

from collections.abc import Sequence

from rushhour.flow.ledger.contract import MOST

NO_LIMIT = "no limit"
_LABELS = {
    "upstream_429": "the provider’s 429, handed to the user",
    "gave_up": "gave up waiting",
    "connection_reset": "connection reset",
    "connection_refused": "connection refused",
    "truncated_stream": "answer cut off",
    "APIConnectionError": "connection to the provider lost",
    "APITimeoutError": "timed out calling the provider",
    "InternalServerError": "the provider’s 5xx, handed to the user",
    "server_error": "the provider’s 5xx, handed to the user",
    "server_is_overloaded": "the provider’s 503, handed to the user",
    "ClientResponseError": "the vector store’s error, handed to the user",
    "ServerDisconnectedError": "connection to the vector store lost",
    "ClientOSError": "connection to the vector store lost",
    "upstream_unavailable": "provider unavailable",
    "upstream_timeout": "the provider timed out",
    "upstream_connection_lost": "connection to the provider lost",
    "upstream_truncated_stream": "the provider cut the answer off",
    "RateLimitError": "the provider’s 429, handed to the user",
    "insufficient_quota": "the provider’s bill, handed to the user",
    "upstream_quota_exhausted": "the provider’s money is spent",
    "circuit_open": "the provider rests after failures",
    "deadline_exceeded": "deadline passed",
    "overloaded": "refused after the answer had begun",
}


def label_of(kind: str) -> str:
    """Say in words what a kind of failure is; an unknown kind stands for itself."""
    return _LABELS.get(kind) or kind.replace("http_", "HTTP ").replace("_", " ")


def share(part: int, whole: int) -> str:
    """Write a part as a percentage that never rounds to 0 or 100 what is not."""
    if whole == 0:
        return "–"
    percent = 100 * part / whole
    if part in (0, whole):
        return f"{percent:.0f} %"
    if percent < 0.05:
        return "under 0.1 %"
    return "over 99.9 %" if percent >= 99.95 else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """Write seconds; a dash for what was never measured."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def dollars(value: float | None, per: int = 1) -> str:
    """Write dollars for `per` of a thing, with enough digits to say something."""
    if value is None:
        return "–"
    amount = value * per
    return f"${amount:.4f}" if amount < 0.1 else f"${amount:,.2f}"


def ratio(value: float | None) -> str:
    """Write a small ratio."""
    return "–" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def megabytes(value: float | None) -> str:
    """Write 10⁶ bytes; a dash for what was never measured."""
    return "–" if value is None else f"{value:,.0f} MB"


def limit(value: object) -> object:
    """Return a limit as it is to be shown: what is none is said to be none, and not written as a number."""
    return NO_LIMIT if isinstance(value, int | float) and value >= MOST else value


def count(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(parts: Sequence[str]) -> str:
    """Join parts of a sentence."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1] if parts else "")))
