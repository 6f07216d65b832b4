"""rushhour: the RAG server that survives Monday morning.

As a library: `protect` puts its policies round your own async function, `batch` round a function for many, and the
parts are here too. They are loaded when the first of them is asked for, so that `import rushhour` costs nothing.
"""
# ruff: noqa: F403, F405  # the star is for type checkers only; a test compares the list below with the library's

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rushhour.library import *

__all__ = [
    "Allowance",
    "AttemptTimeout",
    "Batch",
    "Batched",
    "Breaker",
    "BreakerSettings",
    "Call",
    "CircuitOpen",
    "Concurrency",
    "ConnectionLost",
    "Cost",
    "Deadline",
    "DeadlineExceeded",
    "Event",
    "Fallback",
    "Hedge",
    "HedgeSettings",
    "Hop",
    "Lane",
    "LimitHeaders",
    "Limits",
    "LimitsSeen",
    "LruCache",
    "MalformedReply",
    "MemoryQuota",
    "Pace",
    "PaceSettings",
    "Policy",
    "Protected",
    "QueueFull",
    "Quota",
    "QuotaExhausted",
    "Refusal",
    "Rejected",
    "Retry",
    "RetryBudgetSpent",
    "RetrySettings",
    "Reuse",
    "RushhourError",
    "Stream",
    "Throttled",
    "TooLarge",
    "TruncatedStream",
    "Unauthorized",
    "Unavailable",
    "UpstreamError",
    "WouldMissDeadline",
    "aiohttp_errors",
    "batch",
    "httpx_errors",
    "known_errors",
    "named",
    "network_errors",
    "openai_errors",
    "protect",
    "reply_error",
    "stack",
    "streamed",
    "streaming",
]


def __getattr__(name: str) -> Any:
    """Take a public name from the library."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("rushhour.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
