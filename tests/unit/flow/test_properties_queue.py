"""The waiting room against a model that keeps everything in one list, whatever comes, leaves and is served."""

import math
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from rushhour.flow.algorithms.fair_queue import LEAST_CHARGE, Entry, FairQueue

WEIGHTS = {"heavy": 4.0, "light": 0.5}
TENANTS = ("heavy", "light", "plain", "other")
SHARE = 0.2


class WaitingRoom(RuleBasedStateMachine):
    """Random arrivals, departures and servings; the model knows who waits and what each tenant was served."""

    waiting = Bundle("waiting")

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue(WEIGHTS, SHARE)
        self.model: list[Entry[int]] = []
        self.count = 0
        self.owed = 0.0
        self.dearest = LEAST_CHARGE
        self.served: dict[tuple[int, str], float] = defaultdict(float)
        self.since: dict[tuple[int, str], dict[tuple[int, str], float]] = {}

    @rule(
        target=waiting,
        tenant=st.sampled_from(TENANTS),
        deadline=st.sampled_from([1.0, 2.0, 5.0, math.inf]),
        cost=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        lane=st.sampled_from([0, 0, 1]),
    )
    def arrive(self, tenant: str, deadline: float, cost: float, lane: int) -> Entry[int]:
        """Somebody comes; from now on his tenant is owed turns."""
        self.count += 1
        entry = Entry(self.count, tenant, deadline, cost, lane)
        self.queue.push(entry)
        self.model.append(entry)
        self.dearest = max(self.dearest, entry.charge)
        self.since.setdefault((lane, tenant), dict(self.served))
        return entry

    @rule(entry=consumes(waiting))
    def leave(self, entry: Entry[int]) -> None:
        """Somebody goes away, perhaps after he was served."""
        self.queue.remove(entry)
        if entry in self.model:
            self.model.remove(entry)
            self._count_again(entry)

    @rule(newest_first=st.booleans())
    def switch(self, newest_first: bool) -> None:
        """Let the queue stand, or not."""
        self.queue.newest_first = newest_first

    @precondition(lambda self: self.model)
    @rule()
    def serve(self) -> None:
        """Whoever is served waited, and is the right one of his tenant's."""
        peeked = self.queue.peek()
        entry = self.queue.pop()
        assert entry is peeked
        assert entry in self.model
        own = [other for other in self.model if (other.tenant, other.lane) == (entry.tenant, entry.lane)]
        if self.queue.newest_first:
            assert entry is own[-1]
        else:
            assert entry is min(own, key=lambda other: (other.deadline, other.order))
        self._check_lanes(entry)
        self.model.remove(entry)
        self.served[entry.lane, entry.tenant] += entry.charge / WEIGHTS.get(entry.tenant, 1.0)
        self._count_again(entry)

    def _check_lanes(self, entry: Entry[int]) -> None:
        """People go first, but for the share of the cost that ingestion is owed, which is never saved up."""
        if not any(other.lane for other in self.model):
            self.owed = 0.0
        elif entry.lane == 0:
            self.owed += entry.charge * SHARE / (1 - SHARE)
            assert self.owed <= 2 * self.dearest + self.dearest * SHARE / (1 - SHARE)
        else:
            people_wait = any(other.lane == 0 for other in self.model)
            assert not people_wait or self.owed >= entry.charge - 1e-9
            self.owed = max(0.0, self.owed - entry.charge)

    def _count_again(self, entry: Entry[int]) -> None:
        """Owe nothing to a tenant with nobody waiting."""
        if not any((other.lane, other.tenant) == (entry.lane, entry.tenant) for other in self.model):
            self.since.pop((entry.lane, entry.tenant), None)

    @invariant()
    def nobody_overtakes_without_end(self) -> None:
        """While two tenants of a lane wait, they were served alike but for a call of each (Goyal et al., theorem 1)."""
        for one, then in self.since.items():
            for other in self.since:
                if one[0] != other[0]:
                    continue
                begun = max(then.get(other, 0.0), self.since[other].get(other, 0.0))
                got = self.served[one] - max(then.get(one, 0.0), self.since[other].get(one, 0.0))
                apart = (self.served[other] - begun) - got
                allowed = sum(self.dearest / WEIGHTS.get(tenant, 1.0) for _, tenant in (one, other))
                assert apart <= allowed + 1e-6

    @invariant()
    def length_and_backlog_are_right(self) -> None:
        """They count those who wait, and nobody else."""
        assert len(self.queue) == len(self.model)
        assert math.isclose(self.queue.backlog(), sum(entry.cost for entry in self.model), abs_tol=1e-9)
        assert (self.queue.peek() is None) == (not self.model)


TestWaitingRoom = WaitingRoom.TestCase
TestWaitingRoom.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
