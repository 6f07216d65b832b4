"""A waiting room: interactive before background, tenants in fair turns, earliest deadline first within a tenant.

Between tenants: start-time fair queueing (Goyal, Vin, Cheng 1996): each tenant carries a virtual start time that
grows by cost/weight as it is served, and the smallest goes next; a tenant that floods waits behind itself. Between
lanes: the interactive lane goes first, but while both wait the background lane gets at least `background_share` of
the cost that is served. Within a tenant, under standing overload, the newest may go first instead: whoever came last
can still be served in time ("Fail at Scale", Maurer 2015).

All operations are O(log n) but `ahead_of`, which is linear in the tenants that wait. Who leaves is only marked, and
swept out when the dead outnumber the living.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

LEAST_CHARGE = 1e-6
"""What an entry counts against its tenant's turn at least: where nothing has a price, turns are fair by number."""
FEW = 64
"""So many dead entries may lie about in any case."""


class Entry(msgspec.Struct, Generic[T], eq=False):
    """A place in the queue; `cost` is what serving it is charged against its tenant's turn."""

    item: T
    tenant: str
    deadline: float
    cost: float
    lane: int
    order: int = 0
    live: bool = True

    @property
    def charge(self) -> float:
        """What serving this moves turns on by."""
        return max(self.cost, LEAST_CHARGE)


@dataclass(slots=True, eq=False)
class _Turn(Generic[T]):
    """One tenant's waiting calls, by deadline and by arrival, and its place in the rotation."""

    tenant: str
    weight: float
    start: float = 0.0
    backlog: float = 0.0
    length: int = 0
    by_deadline: list[tuple[float, int, Entry[T]]] = field(default_factory=list)
    by_arrival: list[Entry[T]] = field(default_factory=list)

    def __lt__(self, other: _Turn[T]) -> bool:
        return (self.start, self.tenant) < (other.start, other.tenant)

    def push(self, entry: Entry[T]) -> None:
        heapq.heappush(self.by_deadline, (entry.deadline, entry.order, entry))
        self.by_arrival.append(entry)
        self.backlog += entry.cost
        self.length += 1

    def earliest(self) -> Entry[T]:
        while not (entry := self.by_deadline[0][2]).live:
            heapq.heappop(self.by_deadline)
        return entry

    def newest(self) -> Entry[T]:
        while not self.by_arrival[-1].live:
            self.by_arrival.pop()
        return self.by_arrival[-1]

    def forget(self, entry: Entry[T]) -> None:
        entry.live = False
        self.length -= 1
        self.backlog = self.backlog - entry.cost if self.length else 0.0
        if len(self.by_deadline) + len(self.by_arrival) > 4 * self.length + FEW:
            self._sweep()

    def _sweep(self) -> None:
        self.by_arrival = [entry for entry in self.by_arrival if entry.live]
        self.by_deadline = [(entry.deadline, entry.order, entry) for entry in self.by_arrival]
        heapq.heapify(self.by_deadline)


class _Lane(Generic[T]):
    """Fair turns between the tenants of one lane."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._turns: dict[str, _Turn[T]] = {}
        self._rotation: list[_Turn[T]] = []
        self._virtual = 0.0
        self.backlog = 0.0
        self.length = 0

    def push(self, entry: Entry[T]) -> None:
        turn = self._turns.get(entry.tenant)
        if turn is None:
            turn = self._turns[entry.tenant] = _Turn(entry.tenant, self._weights.get(entry.tenant, 1.0), self._virtual)
            heapq.heappush(self._rotation, turn)
        turn.push(entry)
        self.backlog += entry.cost
        self.length += 1

    def peek(self, newest_first: bool) -> Entry[T] | None:
        turn = self._next_turn()
        if turn is None:
            return None
        return turn.newest() if newest_first else turn.earliest()

    def serve(self, entry: Entry[T]) -> None:
        """Take out what `peek` returned."""
        turn = self._rotation[0]
        self._virtual = max(self._virtual, turn.start)
        turn.start = self._virtual + entry.charge / turn.weight
        heapq.heapreplace(self._rotation, turn)
        self.forget(entry)

    def forget(self, entry: Entry[T]) -> None:
        turn = self._turns[entry.tenant]
        turn.forget(entry)
        self.length -= 1
        self.backlog = self.backlog - entry.cost if self.length else 0.0
        if not turn.length and turn.start <= self._virtual:
            self._end(turn)

    def ahead_of(self, tenant: str, cost: float, newest_first: bool) -> float:
        """Cost that fair turns serve before the last call of `tenant`, were it to join now."""
        mine = self._turns.get(tenant)
        own = mine.backlog if mine and not newest_first else 0.0
        if len(self._turns) == (mine is not None):  # nobody else
            return own
        share = (own + cost) / self._weights.get(tenant, 1.0)
        return own + sum(min(turn.backlog, share * turn.weight) for turn in self._turns.values() if turn is not mine)

    def _next_turn(self) -> _Turn[T] | None:
        """Return the turn that goes next; who waits no more is remembered until his debt is paid."""
        while self._rotation:
            turn = self._rotation[0]
            if turn.length:
                return turn
            heapq.heappop(self._rotation)
            if self._turns.get(turn.tenant) is turn:
                self._virtual = max(self._virtual, turn.start)
                del self._turns[turn.tenant]
        return None

    def _end(self, turn: _Turn[T]) -> None:
        """Forget a tenant that left without owing anything; its place in the rotation is only a husk."""
        del self._turns[turn.tenant]
        if len(self._rotation) > 2 * len(self._turns) + FEW:
            self._rotation = list(self._turns.values())
            heapq.heapify(self._rotation)


class FairQueue(Generic[T]):
    """The waiting room of one hop; lane 0 is interactive, lane 1 background.

    `weights` gives some tenants a larger share (default 1); `background_share` is a fraction of the served cost. While
    `newest_first` is set, a tenant's last call is served first, instead of the one with the earliest deadline.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, background_share: float = 0.1) -> None:
        if not 0 <= background_share < 1:
            raise ValueError(f"background_share is {background_share!r}; it must be at least 0 and below 1")
        for tenant, weight in (weights or {}).items():
            if not 0 < weight < math.inf:
                raise ValueError(f"the weight of tenant {tenant!r} is {weight!r}; it must be a positive number")
        self._lanes: tuple[_Lane[T], _Lane[T]] = (_Lane(weights or {}), _Lane(weights or {}))
        self.newest_first = False
        self._share = background_share
        self._owed = 0.0
        self._order = 0

    def __len__(self) -> int:
        return self._lanes[0].length + self._lanes[1].length

    def backlog(self) -> float:
        """Cost of all that wait."""
        return self._lanes[0].backlog + self._lanes[1].backlog

    def push(self, entry: Entry[T]) -> None:
        """Let an entry wait; ValueError if its cost or deadline is no number that turns could be made of."""
        if not 0 <= entry.cost < math.inf or math.isnan(entry.deadline):
            raise ValueError(
                f"a call of tenant {entry.tenant!r} has cost {entry.cost!r} and deadline {entry.deadline!r}; the cost "
                "must be finite and not negative, the deadline a number"
            )
        self._order += 1
        entry.order = self._order
        self._lanes[entry.lane].push(entry)

    def remove(self, entry: Entry[T]) -> None:
        """Let an entry leave; leaving twice, or after being served, is no error."""
        if entry.live:
            self._lanes[entry.lane].forget(entry)

    def peek(self) -> Entry[T] | None:
        """Return whoever is next, without serving."""
        interactive, background = self._lanes
        first, second = interactive.peek(self.newest_first), background.peek(self.newest_first)
        if first is None or second is None:
            return first or second
        return second if self._owed >= second.charge else first

    def pop(self) -> Entry[T]:
        """Serve whoever is next; IndexError when nobody waits."""
        entry = self.peek()
        if entry is None:
            raise IndexError("pop from an empty queue")
        self.serve(entry)
        return entry

    def serve(self, entry: Entry[T]) -> None:
        """Take out whom `peek` has just returned."""
        self._settle_lanes(entry)
        self._lanes[entry.lane].serve(entry)

    def _settle_lanes(self, entry: Entry[T]) -> None:
        """Remember what the background lane is owed; a lane that does not wait saves up nothing."""
        if not self._lanes[1].length:
            self._owed = 0.0
        elif entry.lane == 0:
            self._owed += entry.charge * self._share / (1 - self._share)
        else:
            self._owed = max(0.0, self._owed - entry.charge)

    def ahead_of(self, tenant: str, cost: float, lane: int) -> float:
        """Cost that will be served before the last call of `tenant`, were it to join `lane` now.

        Newest-first, its own tenant's calls wait behind it, unless more come after it.
        """
        ahead = self._lanes[lane].ahead_of(tenant, cost, self.newest_first)
        if lane == 1:
            return ahead + self._lanes[0].backlog
        return ahead + self._between(ahead)

    def urgent(self) -> float:
        """Cost of all that wait in the interactive lane, and of what goes in between."""
        return self._lanes[0].backlog + self._between(self._lanes[0].backlog)

    def _between(self, interactive: float) -> float:
        """Cost of the background that is served among so much of the interactive lane."""
        return min(self._lanes[1].backlog, interactive * self._share / (1 - self._share))
