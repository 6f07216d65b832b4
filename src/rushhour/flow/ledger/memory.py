"""A quota kept in this process: one bucket a dimension, debited together."""

from __future__ import annotations

import math

from rushhour.flow.algorithms.aimd import Aimd
from rushhour.flow.allowance import LimitHeaders
from rushhour.flow.ledger.contract import Cost, Mark, Waiters
from rushhour.flow.ledger.dimension import Dimension
from rushhour.flow.ledger.limits import Limits

__all__ = ["Limits", "MemoryQuota"]


AIMD_BURST_S = 1.0
"""How much of a rate that was found out may go at once: nobody told how deep the provider's bucket is."""


class MemoryQuota:
    """The whole limit for this one process.

    Limits that are not configured are learned from the headers of replies; where a provider states none, the rate of
    requests is found by AIMD from its 429s.
    """

    def __init__(self, limits: Limits) -> None:
        self._requests = Dimension(limits.requests_per_minute, limits, smallest_burst=1.0)
        self._tokens = Dimension(limits.tokens_per_minute, limits, smallest_burst=0.0)
        self._aimd = Aimd()
        self._learned_at = -math.inf
        self._waiters: Waiters | None = None
        self._stated = limits.requests_per_minute is not None or limits.tokens_per_minute is not None

    def attach(self, waiters: Waiters) -> None:
        """Remember whom to wake when a reply taught that more is left."""
        self._waiters = waiters

    def wait(self, cost: Cost, now: float) -> float:
        """Seconds until every dimension admits its part."""
        return max(self._requests.wait(cost.requests, now), self._tokens.wait(cost.tokens, now))

    def take(self, cost: Cost, now: float) -> None:
        """Debit both dimensions."""
        self._requests.take(cost.requests, now)
        self._tokens.take(cost.tokens, now)
        if self._seeks and cost.requests:
            self._aimd.sent(now)

    def give_back(self, cost: Cost) -> None:
        """Credit both dimensions."""
        self._requests.give_back(cost.requests)
        self._tokens.give_back(cost.tokens)

    def mark(self, now: float) -> Mark:
        """Return what has been taken by now."""
        return Mark(now, self._requests.taken, self._tokens.taken)

    def learn(self, seen: LimitHeaders, since: Mark, now: float) -> None:
        """Set the buckets to what the provider says is left in its own, less what was sent since it said so."""
        if since.at < self._learned_at:  # a slower reply with older news
            return
        self._learned_at = since.at
        sent, sent_tokens = self._requests.taken - since.requests, self._tokens.taken - since.tokens
        requests = self._requests.learn(seen.requests, sent, since.at, now)
        tokens = self._tokens.learn(seen.tokens, sent_tokens, since.at, now)
        self._stated = self._stated or requests or tokens
        if self._waiters:
            self._waiters.serve()

    def succeeded(self, since: Mark, now: float) -> None:
        """Try a little more, where the limit is not known."""
        if self._seeks:
            self._aimd.succeeded(since.at, now)
            self._follow()

    def throttled(self, since: Mark, until: float, now: float) -> None:
        """Empty both buckets until then; where the limit is not known, go slower."""
        if self._seeks:
            self._aimd.throttled(since.at, now)
            self._follow()
        for dimension in (self._requests, self._tokens):
            if dimension.bucket:
                dimension.bucket.exhaust(until)

    def price(self, cost: Cost) -> float:
        """Seconds of the scarcer dimension."""
        return max(self._requests.price(cost.requests), self._tokens.price(cost.tokens))

    def sharing(self, cost: Cost) -> float:  # noqa: ARG002  # the contract's signature
        """Nobody shares it."""
        return 1.0

    def sharing_later(self, cost: Cost) -> float:  # noqa: ARG002  # the contract's signature
        """Nor will anybody."""
        return 1.0

    def coming(self) -> None:
        """There is nobody to tell."""

    def credit(self, now: float) -> float:
        """Return the smaller credit of both dimensions."""
        buckets = [one.bucket for one in (self._requests, self._tokens) if one.bucket]
        return min((bucket.available(now) / bucket.rate for bucket in buckets), default=math.inf)

    @property
    def _seeks(self) -> bool:
        """Whether nobody has told any limit."""
        return not self._stated

    def _follow(self) -> None:
        if self._aimd.rate is not None:
            self._requests.set_rate(self._aimd.rate, AIMD_BURST_S)
