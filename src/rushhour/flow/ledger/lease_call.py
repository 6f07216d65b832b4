"""What a replica tells the shared ledger and what it hears back, as `redis_scripts.LEASE` has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

LEASE_S = 0.5
"""Most of the limit that one lease holds beyond burst credit, and how long demand may be absent before it goes back."""

ROUND_S = 1.0
"""Under full load every replica's turn comes round in this time: its lease is as much of it as waits there of all."""

WANTING_S = 2.0
"""A replica counts as wanting its share for this long after it asked for a lease, and what waits there for as long."""

LIVING_S = 6.0
"""A replica counts as living for this long after it was last heard of."""


class Ask(msgspec.Struct, frozen=True):
    """One dimension of a lease call, in seconds of the limit.

    `taken` was spent without a lease (negative: goes back), `taken_lost` while Redis was out of reach. `need` lets the
    next call go, `want` is all that could be used soon, `ramp` as much of it as may come from burst credit at once.
    `most` is what the provider's bucket can hold at best (negative: unknown), `hint` the TAT as last seen, from now on.
    What is granted beyond the need is a multiple of a usual `call` (0: unknown): a part of one would pass unused.
    """

    name: str
    depth: float
    taken: float = 0.0
    taken_lost: float = 0.0
    need: float = 0.0
    want: float = 0.0
    ramp: float = 0.0
    most: float = -1.0
    hint: float | None = None
    call: float = 0.0

    def words(self) -> tuple[str, ...]:
        """Return the script's arguments."""
        numbers = (self.depth, self.taken, self.taken_lost, self.need, self.want, self.ramp, self.most)
        hint = "" if self.hint is None else f"{self.hint:.9f}"
        return (self.name, *(f"{number:.9f}" for number in numbers), hint, f"{self.call:.9f}")


class LeaseCall(msgspec.Struct, frozen=True):
    """A lease call: `lost_s` is how long Redis was out of reach before it, `closed_s` until when nothing may go.

    `waiting` is what waits here or will soon, in seconds of the whole limit: more than the asks are about. `booked` is
    what will come later, since it was sent away until then.
    """

    asks: tuple[Ask, ...]
    lost_s: float = 0.0
    closed_s: float = 0.0
    waiting: float = 0.0
    booked: float = 0.0

    def words(self, replica: str) -> tuple[str, ...]:
        """Return the script's arguments."""
        numbers = (LIVING_S, WANTING_S, LEASE_S, ROUND_S, self.lost_s, self.closed_s, self.waiting, self.booked)
        dimensions = [word for ask in self.asks for word in ask.words()]
        return (replica, *(f"{number:.9f}" for number in numbers), *dimensions)


class Grant(msgspec.Struct, frozen=True):
    """One dimension of the answer: places from `start` on; `tat` after that, `total` of what anybody was granted."""

    start: float
    granted: float
    tat: float
    total: float


class LeaseReply(msgspec.Struct, frozen=True):
    """The answer to a lease call; times of grants are seconds from `now`, the server's time.

    `beside` is how many times as much as waits here goes before the last of it elsewhere.
    `besides` is how many times as much as is asked for here, now or later, is asked for elsewhere.
    """

    now: float
    living: int
    wanting: int
    closed_s: float
    beside: float
    besides: float
    grants: tuple[Grant, ...]


def parse_lease(reply: Sequence[bytes]) -> LeaseReply:
    """Read the script's answer; ValueError where it is none."""
    now, living, wanting, closed, beside, besides, *rest = (float(value) for value in reply)
    if len(rest) % 4:
        raise ValueError(f"a lease's answer has {len(reply)} values; it must have six, and four a dimension")
    grants = tuple(Grant(*rest[at : at + 4]) for at in range(0, len(rest), 4))
    return LeaseReply(now, int(living), int(wanting), closed, beside, besides, grants)


class ServerClock:
    """The server's time on the loop's clock, never too early.

    An exchange bounds the difference of both clocks: the server read its own after we sent and before we heard
    (Cristian 1989). The bounds of several exchanges are intersected; where they contradict, a clock was set.
    """

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")
        self._at = 0.0

    def observe(self, sent: float, server: float, heard: float) -> None:
        """Take one exchange in: loop times round the server's own."""
        drift = 1e-4 * max(heard - self._at, 0.0)
        low, high = max(sent - server, self._low - drift), min(heard - server, self._high + drift)
        if low > high:
            low, high = sent - server, heard - server
        self._low, self._high, self._at = low, high, heard

    def on_loop(self, server: float) -> float:
        """Return the loop's time at which the server's clock surely shows `server`."""
        return server + self._high


class LeaseStore(Protocol):
    """Where a quota leases; one for all quotas of a replica."""

    clock: ServerClock
    patience_s: float

    def lease(self, quota: str, call: LeaseCall) -> asyncio.Future[LeaseReply] | None:
        """Ask; None if the store is out of reach. A reply that fails means that it has just been lost."""
        ...

    def lost_since(self) -> float | None:
        """When the store was last heard of, if it is out of reach."""
        ...

    def living(self) -> int:
        """How many replicas live, as far as is known."""
        ...
