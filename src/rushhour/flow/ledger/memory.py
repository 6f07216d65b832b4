"""A quota kept in this process: one GCRA a dimension, debited together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushhour.flow.algorithms.gcra import Gcra
from rushhour.flow.allowance import Allowance, LimitHeaders
from rushhour.flow.ledger.contract import Cost, Mark, Waiters

MARGIN_S = 0.05
"""Seconds' worth of the limit left alone when a bucket's level is learned: calls overtake each other on their way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A provider's limits; None means none.

    `burst_s` is how many seconds of the limit the provider's bucket holds: 60 for a bucket a minute deep, 1 where a
    limit is enforced per second. `use` is the fraction of the limit we pace to (FLOW: 0.98-0.99).
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_s: float = 60.0
    use: float = 0.99

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e12:
                raise ValueError(f"{name} is {value!r}; it must be a positive number, or None for no limit")
        if not 0 < self.burst_s <= 86_400:
            raise ValueError(f"burst_s is {self.burst_s!r}; it must be above 0 and at most 86400 seconds")
        if not 0 < self.use <= 1:
            raise ValueError(f"use is {self.use!r}; it must be above 0 and at most 1")


class MemoryQuota:
    """The whole limit for this one process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken_requests = 0.0
        self._taken_tokens = 0.0
        self._learned_at = -math.inf
        self._requests = _bucket(limits.requests_per_minute, limits, at_least=1.0)
        self._tokens = _bucket(limits.tokens_per_minute, limits, at_least=0.0)

    def attach(self, waiters: Waiters) -> None:
        """Wake nobody: what `wait` tells holds."""

    def wait(self, cost: Cost, now: float) -> float:
        """Seconds until every dimension admits its part."""
        requests = self._requests.wait(cost.requests, now) if self._requests else 0.0
        tokens = self._tokens.wait(cost.tokens, now) if self._tokens else 0.0
        return max(requests, tokens)

    def take(self, cost: Cost, now: float) -> None:
        """Debit both dimensions."""
        self._taken_requests += cost.requests
        self._taken_tokens += cost.tokens
        if self._requests:
            self._requests.take(cost.requests, now)
        if self._tokens:
            self._tokens.take(cost.tokens, now)

    def give_back(self, cost: Cost) -> None:
        """Credit both dimensions."""
        self._taken_requests -= cost.requests
        self._taken_tokens -= cost.tokens
        if self._requests:
            self._requests.give_back(cost.requests)
        if self._tokens:
            self._tokens.give_back(cost.tokens)

    def throttled(self, since: Mark, until: float, now: float) -> None:
        """Empty both buckets until then."""
        for bucket in (self._requests, self._tokens):
            if bucket:
                bucket.exhaust(until)

    def succeeded(self, since: Mark, now: float) -> None:
        """Learn nothing: the limits are known."""

    def mark(self, now: float) -> Mark:
        """Return what has been taken by now."""
        return Mark(now, self._taken_requests, self._taken_tokens)

    def learn(self, seen: LimitHeaders, since: Mark, now: float) -> None:
        """Set the buckets to what the provider says is left in its own, less what was sent since it said so.

        So calls that the provider did not count come back, somebody else's use of the same account is seen, and its
        full rate is used without going over it. A limit other than the configured one is not believed.
        """
        if since.at < self._learned_at:  # a slower reply with older news
            return
        self._learned_at = since.at
        requests = self._taken_requests - since.requests
        tokens = self._taken_tokens - since.tokens
        _learn(self._requests, seen.requests, self._limits.requests_per_minute, requests, since.at, now)
        _learn(self._tokens, seen.tokens, self._limits.tokens_per_minute, tokens, since.at, now)

    def price(self, cost: Cost) -> float:
        """Seconds of the scarcer dimension."""
        requests = cost.requests / self._requests.rate if self._requests else 0.0
        tokens = cost.tokens / self._tokens.rate if self._tokens else 0.0
        return max(requests, tokens)

    def credit(self, now: float) -> float:
        """Return the smaller credit of both dimensions."""
        buckets = [bucket for bucket in (self._requests, self._tokens) if bucket]
        return min((bucket.available(now) / bucket.rate for bucket in buckets), default=math.inf)


def _learn(
    bucket: Gcra | None, told: Allowance | None, limit: float | None, sent: float, since: float, now: float
) -> None:
    if bucket is None or limit is None or told is None or told.remaining is None or told.limit is None:
        return
    if abs(told.limit - limit) > 0.01 * limit:
        return
    left = min(told.remaining + (now - since) * limit / 60, bucket.burst) - sent
    bucket.correct(left - MARGIN_S * bucket.rate, now)


def _bucket(per_minute: float | None, limits: Limits, at_least: float) -> Gcra | None:
    if per_minute is None:
        return None
    depth = limits.use * per_minute * limits.burst_s / 60
    return Gcra(limits.use * per_minute / 60, max(depth, at_least, 1e-9))
