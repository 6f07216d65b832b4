"""The product's policies in the product's order round a hop of the benchmark's own."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from rushhour.flow.algorithms.fair_queue import FairQueue
from rushhour.flow.call import Hop, Policy, named, stack
from rushhour.flow.ledger.contract import Quota
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.pace import CostOf, Pace, PaceSettings, one_request
from rushhour.flow.policies.retry import Retry, RetrySettings


@dataclass(frozen=True, slots=True)
class Layers:
    """The policies of one hop by name, outermost first."""

    deadline: Policy
    fallback: Policy
    retry: Policy
    breaker: Policy
    pace: Policy
    concurrency: Policy
    watch: Policy

    def round(self, hop: Hop[Any, Any], name: str = "chat") -> Hop[Any, Any]:
        """Put them all round a hop."""
        return named(stack(hop, *self.all()), name)

    def all(self) -> tuple[Policy, ...]:
        """Return them in their order."""
        return (self.deadline, self.fallback, self.retry, self.breaker, self.pace, self.concurrency, self.watch)


def layers(
    limits: Limits,
    cost: CostOf = one_request,
    seed: int = 1,
    in_flight: int = 100_000,
    quota: Quota | None = None,
    queue: FairQueue[Any] | None = None,
    max_waiting: int = 1_000_000,
) -> Layers:
    """Build one hop's policies; all chance is drawn from `seed`, and only the queue's bound is not the default."""
    breaker = Breaker(BreakerSettings(), random.Random(seed + 1))
    room = Concurrency(in_flight)
    pace = Pace(
        quota or MemoryQuota(limits),
        cost,
        queue,
        settings=PaceSettings(max_waiting=max_waiting),
        rng=random.Random(seed + 2),
        room=room,
    )
    return Layers(
        Deadline(),
        Fallback(),
        Retry(RetrySettings(), random.Random(seed + 3)),
        breaker,
        pace,
        room,
        breaker.watch,
    )
