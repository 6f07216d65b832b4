"""End-to-end admission: ask the last queue before anything is spent on the way to it (rule 4).

A request that goes through several hops waits longest at the scarcest, and that is usually the last. Whoever would
not get through it in time is refused at the first door, before an earlier hop's quota is spent. Those who were let in
and have not yet reached the last queue count in what it predicts, for each of them holds a promise.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AbstractContextManager
from typing import Protocol

from rushhour.errors import WouldMissDeadline
from rushhour.flow.algorithms.recent import Recent
from rushhour.flow.call import Call
from rushhour.flow.ledger.contract import Cost

CAUTION = 1.5
"""Who is let in must not fail at the queue itself, which knows better by then: the door wants more of the time."""

SLIP = 1.05
"""For the same reason this many times the predicted wait: it slips where calls fail and where replicas take turns."""


class Waiting(Protocol):
    """A queue as those see it who are not in it yet; `flow.policies.pace.Pace` is one."""

    def predict(self, cost: Cost, call: Call, now: float) -> float:
        """Seconds a call of this cost would wait, were it to join now."""
        ...

    def promise(self, cost: Cost, call: Call) -> AbstractContextManager[None]:
        """Count a call that will join soon in what `predict` tells others, until the block ends."""
        ...

    def advise(self, wait: float, cost: Cost, call: Call, now: float) -> float:
        """Seconds after which a call that is refused for its `wait` should come back, behind those told so before."""
        ...


class Admission:
    """Lets in whoever can get through one of the `queues` in time; they are asked in the order of preference.

    To the predicted wait come the recent times until a call joins the queue and from leaving it to the last word,
    learned from `prepared` and `answered`. While a call is prepared the queue moves on, so the sum errs on the side of
    refusing, but only where enough others wait to use the limit up. A queue without a wait lets everybody in: without
    anybody served, nothing could be learned.
    """

    def __init__(self, *queues: Waiting) -> None:
        if not queues:
            raise ValueError("admission needs at least one queue to ask")
        self._queues = queues
        self._before = Recent()
        self._after = Recent()

    def wait(self, cost: Cost, call: Call) -> float:
        """Seconds that a call of this cost would wait in the preferred queue."""
        return self._queues[0].predict(cost, call, asyncio.get_running_loop().time())

    def enter(
        self, cost: Cost, call: Call, later: Cost | None = None, *, wait: float | None = None
    ) -> AbstractContextManager[None]:
        """Promise the call a place, to be held until it joins the queue; `later` is its cost outside of a rush.

        `wait` is what `wait` has just told of this cost, if it was asked.
        Raises WouldMissDeadline with the time after which the shortest queue will have drained, and served those who
        were told so before.
        """
        now = asyncio.get_running_loop().time()
        besides = CAUTION * (self._before.value + self._after.value)
        shortest, least = self._queues[0], math.inf
        for queue in self._queues:
            theirs = queue.predict(cost, call, now) if wait is None or queue is not self._queues[0] else wait
            if theirs <= 0 or now + SLIP * theirs + besides <= call.deadline:
                return queue.promise(cost, call)
            if theirs < least:
                shortest, least = queue, theirs
        advice = shortest.advise(least, later or cost, call, now)
        raise WouldMissDeadline(
            f"An answer would take about {SLIP * least + besides:.1f} s and the request's deadline is in "
            f"{call.deadline - now:.1f} s; come back in {advice:.1f} s or allow a longer timeout.",
            retry_after=advice,
        )

    def prepared(self, seconds: float) -> None:
        """Learn how long a call takes until it joins the queue."""
        self._before.add(seconds)

    def answered(self, seconds: float) -> None:
        """Learn how long an answer takes once the queue is left."""
        self._after.add(seconds)
