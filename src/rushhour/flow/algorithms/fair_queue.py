"""A waiting room: interactive before background, tenants in fair turns, earliest deadline first within a tenant.

Between tenants: start-time fair queueing (Goyal, Vin, Cheng 1996): each tenant carries a virtual start time that
grows by cost/weight as it is served, and the smallest goes next; a tenant that floods waits behind itself. Between
lanes: the interactive lane goes first, but while both wait the background lane gets at least `background_share` of
the cost that is served. All operations are O(log n) but `ahead_of`, which is linear in the tenants that wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """A place in the queue; `cost` is what serving it is charged against its tenant's turn."""

    item: T
    tenant: str
    deadline: float
    cost: float
    lane: int
    order: int = 0
    live: bool = True

    def __lt__(self, other: Entry[T]) -> bool:
        return (self.deadline, self.order) < (other.deadline, other.order)


@dataclass(slots=True, eq=False)
class _Turn(Generic[T]):
    """One tenant's waiting calls and its place in the rotation."""

    tenant: str
    weight: float
    start: float = 0.0
    backlog: float = 0.0
    waiting: list[Entry[T]] = field(default_factory=list)

    def __lt__(self, other: _Turn[T]) -> bool:
        return (self.start, self.tenant) < (other.start, other.tenant)


class _Lane(Generic[T]):
    """Fair turns between the tenants of one lane."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._turns: dict[str, _Turn[T]] = {}
        self._rotation: list[_Turn[T]] = []
        self._virtual = 0.0
        self.backlog = 0.0
        self.length = 0
        self.served = 0.0

    def push(self, entry: Entry[T]) -> None:
        turn = self._turns.get(entry.tenant)
        if turn is None:
            turn = self._turns[entry.tenant] = _Turn(entry.tenant, self._weights.get(entry.tenant, 1.0), self._virtual)
            heapq.heappush(self._rotation, turn)
        heapq.heappush(turn.waiting, entry)
        turn.backlog += entry.cost
        self.backlog += entry.cost
        self.length += 1

    def peek(self) -> Entry[T] | None:
        while self._rotation:
            turn = self._rotation[0]
            while turn.waiting and not turn.waiting[0].live:
                heapq.heappop(turn.waiting)
            if turn.waiting:
                return turn.waiting[0]
            heapq.heappop(self._rotation)
            self._virtual = max(self._virtual, turn.start)
            del self._turns[turn.tenant]
        return None

    def pop(self) -> Entry[T]:
        entry = self.peek()
        if entry is None:
            raise IndexError("pop from an empty lane")
        turn = self._rotation[0]
        heapq.heappop(turn.waiting)
        self.forget(entry)
        self._virtual = max(self._virtual, turn.start)
        turn.start = max(turn.start, self._virtual) + entry.cost / turn.weight
        heapq.heapreplace(self._rotation, turn)
        self.served += entry.cost
        return entry

    def forget(self, entry: Entry[T]) -> None:
        entry.live = False
        self._turns[entry.tenant].backlog -= entry.cost
        self.backlog -= entry.cost
        self.length -= 1

    def ahead_of(self, tenant: str, cost: float) -> float:
        """Cost that fair turns serve before the last call of `tenant`, were it to join now."""
        mine = self._turns.get(tenant)
        share = ((mine.backlog if mine else 0.0) + cost) / self._weights.get(tenant, 1.0)
        return (mine.backlog if mine else 0.0) + sum(
            min(turn.backlog, share * turn.weight) for turn in self._turns.values() if turn is not mine
        )


class FairQueue(Generic[T]):
    """The waiting room of one hop; lane 0 is interactive, lane 1 background.

    `weights` gives some tenants a larger share (default 1); `background_share` is a fraction of the served cost.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, background_share: float = 0.1) -> None:
        if not 0 <= background_share < 1:
            raise ValueError(f"background_share is {background_share!r}; it must be at least 0 and below 1")
        for tenant, weight in (weights or {}).items():
            if weight <= 0:
                raise ValueError(f"the weight of tenant {tenant!r} is {weight!r}; it must be positive")
        self._lanes: tuple[_Lane[T], _Lane[T]] = (_Lane(weights or {}), _Lane(weights or {}))
        self._share = background_share
        self._owed = 0.0
        self._order = 0

    def __len__(self) -> int:
        return self._lanes[0].length + self._lanes[1].length

    def backlog(self) -> float:
        """Cost of all that wait."""
        return self._lanes[0].backlog + self._lanes[1].backlog

    def push(self, entry: Entry[T]) -> None:
        """Let an entry wait."""
        self._order += 1
        entry.order = self._order
        self._lanes[entry.lane].push(entry)

    def remove(self, entry: Entry[T]) -> None:
        """Let an entry leave; leaving twice, or after being served, is no error."""
        if entry.live:
            self._lanes[entry.lane].forget(entry)

    def peek(self) -> Entry[T] | None:
        """Return whoever is next, without serving."""
        first, second = self._lanes[0].peek(), self._lanes[1].peek()
        if first is None or second is None:
            return first or second
        return second if self._owed >= second.cost else first

    def pop(self) -> Entry[T]:
        """Serve whoever is next; IndexError when nobody waits."""
        entry = self.peek()
        if entry is None:
            raise IndexError("pop from an empty queue")
        self._settle_lanes(entry)
        return self._lanes[entry.lane].pop()

    def _settle_lanes(self, entry: Entry[T]) -> None:
        """Remember what the background lane is owed; a lane that does not wait saves up nothing."""
        if not self._lanes[1].length:
            self._owed = 0.0
        elif entry.lane == 0:
            self._owed += entry.cost * self._share / (1 - self._share)
        else:
            self._owed = max(0.0, self._owed - entry.cost)

    def ahead_of(self, tenant: str, cost: float, lane: int) -> float:
        """Cost that will be served before the last call of `tenant`, were it to join `lane` now."""
        ahead = self._lanes[lane].ahead_of(tenant, cost)
        if lane == 1:
            return ahead + self._lanes[0].backlog
        background = self._lanes[1].backlog
        return ahead + min(background, ahead * self._share / (1 - self._share))
