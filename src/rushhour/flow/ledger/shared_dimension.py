"""One dimension of a shared limit as a replica sees it: what it holds, what it wants, what others take."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from rushhour.flow.algorithms.gcra import Gcra
from rushhour.flow.allowance import Allowance
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.lease import TIMERS_S, Lease
from rushhour.flow.ledger.lease_call import LEASE_S, ROUND_S, Ask, Grant
from rushhour.flow.ledger.meter import LumpyRate, Meter

AHEAD_S = 0.1
"""A lease is asked for this long before the last one runs out: many round trips to a Redis nearby."""

MARGIN_S = 0.05
"""Seconds' worth of the limit left alone when the provider tells its bucket's level: calls overtake each other."""


class SharedDimension:
    """Requests, or tokens: `rate` units a second for all replicas, in a bucket of `burst_s` seconds of them.

    `limit` is what the provider enforces, in units a second; `rate` is what of it we pace to.

    A slot stays good for a while after its place (`grace`), and the bucket is taken to be that much less deep, so that
    all replicas together stay within it. (Leases that go back while others' places lie behind them may overfill it for
    a moment, by less than half a second's worth.) Cut off from Redis, this replica's share is a bucket of its own
    without burst.
    """

    def __init__(self, name: str, rate: float, burst_s: float, limit: float) -> None:
        self.name = name
        self.units_of: Callable[[Cost], float] = attrgetter(name)
        self.rate = rate
        self._limit = limit
        grace = min(max(burst_s / 4, TIMERS_S), LEASE_S)
        self.depth = max(burst_s - grace, 0.0)
        self.lease = Lease(self.depth, grace)
        self._alone: Gcra | None = None
        self._taken = 0.0
        self._taken_lost = 0.0
        self._most: tuple[float, float] | None = None
        self._tat: float | None = None
        self._total: float | None = None
        self._mine = 0.0
        self._seen_at = 0.0
        self._spent = Meter(LEASE_S)
        self._others = LumpyRate(2 * ROUND_S)
        self._typical = 0.0

    def ready(self, units: float, now: float) -> float | None:
        """Return when a cost may go, or None if it needs another lease."""
        cost = units / self.rate
        if self._alone:
            return now + self._alone.wait(units, now)
        if cost <= 0:
            return now
        self.lease.expire(now, cost)
        return self.lease.ready(cost) if self._taken <= 0 else None

    def take(self, units: float, now: float) -> None:
        """Spend a cost; what is not held is owed to the others."""
        cost = units / self.rate
        self._spent.add(cost, now)
        self._typical = units
        if self._alone:
            self._alone.take(units, now)
            self._taken_lost += cost
            return
        self.lease.expire(now, cost)
        self._taken += self.lease.spend(cost)

    def give_back(self, units: float) -> None:
        """Undo a take."""
        cost = units / self.rate
        if self._alone:
            self._alone.give_back(units)
            self._taken_lost -= cost
            return
        owed = min(cost, max(self._taken, 0.0))
        self._taken -= owed
        self.lease.restore(cost - owed)

    def soon(self, backlog: float, now: float) -> float:
        """Seconds of the limit that this replica can use up soon: all that waits, or as much as lately."""
        return max(backlog, self._spent.lately(now))

    def runs_out(self, backlog: float, now: float) -> bool:
        """Whether it is time to ask for more before anybody has to wait for it.

        Where nobody waits and calls are rare, it never is: by the time of the next one its slot would have passed.
        """
        if self._alone or self.lease.held >= self.soon(backlog, now):
            return False
        if backlog > 0:
            return self.lease.last_ready() - now < AHEAD_S
        return self._often(now) and self.lease.held < self._spent.rate(now) * AHEAD_S

    def ask(self, units: float, backlog: float, now: float, *, wants: bool) -> Ask:
        """Ask for what is missing for a cost of `units` and what comes after; tell what the others must know.

        While enough for the next moment is held there is no more to want, though another dimension asks: who holds two
        places in the round of the replicas gets two shares.
        """
        cost = units / self.rate
        self.lease.expire(now, cost)
        want = missing = cost - self.lease.held
        if self._alone or self.runs_out(backlog, now):
            want = max(missing, self.soon(backlog, now) - self.lease.held)
        taken, self._taken = self._taken, 0.0
        taken_lost, self._taken_lost = self._taken_lost, 0.0
        most, self._most = self._most, None
        return Ask(
            self.name,
            self.depth,
            taken=taken,
            taken_lost=taken_lost,
            need=max(missing, 0.0) if wants else 0.0,
            want=max(want, 0.0) if wants else 0.0,
            ramp=2 * self._spent.lately(now),
            most=-1.0 if most is None else max(most[0] + (now - most[1]), 0.0),
            hint=None if self._tat is None else self._tat - now,
            call=self._typical / self.rate,
        )

    def unanswered(self, ask: Ask) -> None:
        """Redis did not answer: it may have heard or not. What was taken is kept to tell, what was returned is not."""
        self._taken_lost += max(ask.taken, 0.0) + ask.taken_lost

    def granted(self, ask: Ask, grant: Grant, at: float) -> None:
        """Hold what was granted: the limit is shared (again). `at` is when the server answered, on the loop's clock."""
        if self._alone:
            self._alone = None
            self._taken, self._taken_lost = self._taken + max(self._taken_lost, 0.0), 0.0
        self.lease.add(at + grant.start, grant.granted)
        self._mine = ask.taken + grant.granted
        if self._total is not None:
            self._others.add(max(grant.total - self._total - self._mine, 0.0), at)
        self._total, self._tat, self._seen_at = grant.total, at + grant.tat, at

    def surplus(self, keep: float, now: float) -> None:
        """Give up what is far more than is likely to be used soon; what others can still use goes back to them."""
        self.lease.expire(now)
        if self.lease.held > 2 * keep:
            self._taken -= self.lease.cut(keep, now)

    def returns(self) -> bool:
        """Whether the next call gives something back."""
        return self._taken < 0

    def close(self, until: float) -> None:
        """Nothing may go before `until`, and the provider's bucket is empty then: drop the places that expect more."""
        self.lease.drop_before(until + self.depth)
        if self._alone:
            self._alone.exhaust(until)

    def told(self, allowance: Allowance | None, sent: float, since: float, now: float) -> None:
        """Believe the provider that no more than `remaining` is left, less what was sent since it said so.

        That there is more cannot be known from one replica. A limit other than the configured one is not believed.
        """
        if allowance is None or allowance.remaining is None or allowance.limit is None:
            return
        if abs(allowance.limit / 60 - self._limit) <= 0.01 * self._limit:
            left = allowance.remaining + (now - since) * self._limit - sent
            self._most = (max(left / self.rate - MARGIN_S, 0.0), now)

    def alone(self, replicas: int, until: float, now: float) -> None:
        """Redis is out of reach: go on with an equal share, without burst, and as if the last call had just gone."""
        returned = self.lease.cut(0.0, now)
        self._taken_lost += max(self._taken, 0.0)
        self._taken = min(self._taken, 0.0) - returned
        if self._alone:
            return
        rate = self.rate / replicas
        self._alone = Gcra(rate, max(rate * TIMERS_S, 1e-9))
        self._alone.exhaust(until)
        self._alone.take(self._typical, now)

    def factor(self, replicas: int, now: float) -> float:
        """How many times longer a cost takes than if this replica were alone."""
        if self._alone:
            return self.rate / self._alone.rate
        return 1 / max(1 - self._others.rate(now), 1 / replicas)

    def credit(self, factor: float, now: float) -> float:
        """Seconds' worth that could be spent at once, in the same seconds as prices; `factor` is what it tells now."""
        if self._alone:
            return self._alone.available(now) / self._alone.rate
        tat = now if self._tat is None else self._tat + self._others.rate(now) * (now - self._seen_at)
        return self.depth - max(0.0, tat - now) + self.lease.held * factor

    def _often(self, now: float) -> bool:
        """Whether another call like the last one is to be expected while a slot stays good."""
        besides = self._spent.lately(now) - self._typical / self.rate
        return besides * self.lease.grace >= self._typical / self.rate * LEASE_S
