"""rushhour as a library: its policies round your own async functions.

`protect` puts all of them round a function in the right order, `batch` round a function for many, and `streaming` makes
a function that streams ready for `protect`. The parts are there too, for those who stack them themselves.
"""

from __future__ import annotations

from rushhour.errors import (
    AttemptTimeout,
    CircuitOpen,
    ConnectionLost,
    DeadlineExceeded,
    MalformedReply,
    QueueFull,
    QuotaExhausted,
    Refusal,
    Rejected,
    RetryBudgetSpent,
    RushhourError,
    Throttled,
    TooLarge,
    TruncatedStream,
    Unauthorized,
    Unavailable,
    UpstreamError,
    WouldMissDeadline,
)
from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.batch import Batch
from rushhour.flow.call import Call, Event, Hop, Lane, Policy, named, stack
from rushhour.flow.ledger.contract import Cost, Quota
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.hedge import Hedge, HedgeSettings
from rushhour.flow.policies.pace import Pace, PaceSettings
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.policies.reuse import LruCache, Reuse
from rushhour.flow.stream import Stream
from rushhour.library.batched import Batched, batch
from rushhour.library.foreign_errors import (
    aiohttp_errors,
    httpx_errors,
    known_errors,
    network_errors,
    openai_errors,
    reply_error,
)
from rushhour.library.protected import Protected, protect
from rushhour.library.streaming import streamed, streaming

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
