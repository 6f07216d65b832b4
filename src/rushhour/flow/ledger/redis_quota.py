"""A quota that all replicas share: each spends slots leased from Redis, and asks for more before they run out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from functools import partial

from rushhour.flow.allowance import LimitHeaders
from rushhour.flow.ledger.contract import Cost, Mark, Waiters
from rushhour.flow.ledger.lease_call import LEASE_S, ROUND_S, WANTING_S, LeaseCall, LeaseReply, LeaseStore
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.shared_dimension import SharedDimension

_NOTHING = Cost(0.0, 0.0)

NEWS = 1.1
"""How many times as much as was told has to be expected, for others to be told before the next lease."""
GROWN = (1 + NEWS) / 2
"""What others told has become this many times as much since, in a rush."""


class RedisQuota:
    """The whole limit for all replicas together; without limits there is nothing to share, and no waiting.

    Of what providers tell, only bad news is believed: a 429, and a `remaining` below what the replicas think is left.
    A higher `remaining` says nothing, since other replicas' calls are on their way.
    """

    def __init__(self, name: str, limits: Limits, store: LeaseStore) -> None:
        self._name = name
        self._store = store
        self._clock = asyncio.get_running_loop().time
        self._dimensions = tuple(_dimensions(limits))
        self._waiters: Waiters | None = None
        self._requests_taken = self._tokens_taken = 0.0
        self._learned_at = -math.inf
        self._head = _NOTHING
        self._wanted_at = -math.inf
        self._closed_until = -math.inf
        self._untold_close = False
        self._wanting = 1
        self._beside = self._besides = 0.0
        self._heard_until = -math.inf
        self._told = 0.0
        self._told_at = -math.inf
        self._news = False
        self._factors: Sequence[float] = ()
        self._request_factor = self._token_factor = 1.0
        self._request_s = next((1 / one.rate for one in self._dimensions if one.name == "requests"), 0.0)
        self._token_s = next((1 / one.rate for one in self._dimensions if one.name == "tokens"), 0.0)
        self._factors_at = math.nan
        self._lost_at: float | None = None
        self._reachable = True
        self._reply: asyncio.Future[LeaseReply] | None = None
        self._called_at = -math.inf
        self._due: asyncio.Handle | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self.leases = 0
        if store.lost_since() is not None:
            self.lost(asyncio.get_running_loop().time())

    def attach(self, waiters: Waiters) -> None:
        """Remember whom to wake when a lease arrives."""
        self._waiters = waiters

    def wait(self, cost: Cost, now: float) -> float:
        """Seconds until every dimension admits its part; while a lease is on its way, until it must be there."""
        ready = now
        for dimension in self._dimensions:
            when = dimension.ready(dimension.units_of(cost), now)
            if when is None:
                self._want(cost, now)
                return self._patience(now)
            ready = max(ready, when)
        late = ready - now
        if late <= 1e-9 * max(1.0, abs(now)):
            return 0.0
        self._head, self._wanted_at = cost, now
        return late

    def take(self, cost: Cost, now: float) -> None:
        """Debit both dimensions, and ask for more if this lease runs out soon."""
        self._requests_taken += cost.requests
        self._tokens_taken += cost.tokens
        self._head, self._wanted_at = _NOTHING, now
        for dimension in self._dimensions:
            dimension.take(dimension.units_of(cost), now)
        if self._runs_out(now):
            self._ask()

    def give_back(self, cost: Cost) -> None:
        """Credit both dimensions."""
        self._requests_taken -= cost.requests
        self._tokens_taken -= cost.tokens
        for dimension in self._dimensions:
            dimension.give_back(dimension.units_of(cost))
        self._tidy_later()

    def mark(self, now: float) -> Mark:
        """Return what this replica has taken by now."""
        return Mark(now, self._requests_taken, self._tokens_taken)

    def succeeded(self, since: Mark, now: float) -> None:
        """Learn nothing: the limits are known."""

    def throttled(self, since: Mark, until: float, now: float) -> None:  # noqa: ARG002  # the contract's signature
        """Tell all replicas that nothing may go before `until` and that the bucket is empty then.

        They hear it with their next lease; what they hold already, half a second's worth at most, may still go.
        """
        if not self._dimensions or until <= self._closed_until:
            return
        self._closed_until, self._untold_close = until, True
        for dimension in self._dimensions:
            dimension.close(until)
        self._ask()

    def learn(self, seen: LimitHeaders, since: Mark, now: float) -> None:
        """Lower the shared level to what the provider says is left; it goes out with the next lease.

        A limit other than the configured one is not believed, nor older news than the last.
        """
        if since.at < self._learned_at:
            return
        self._learned_at = since.at
        for dimension in self._dimensions:
            if dimension.name == "requests":
                dimension.told(seen.requests, self._requests_taken - since.requests, since.at, now)
            else:
                dimension.told(seen.tokens, self._tokens_taken - since.tokens, since.at, now)

    def price(self, cost: Cost) -> float:
        """Seconds of the limit, by the scarcest dimension."""
        return max(cost.requests * self._request_s, cost.tokens * self._token_s)

    def sharing(self, cost: Cost) -> float:
        """Tell what others leave of the limit: less while they send, and an equal share while calls wait there too."""
        now = self._clock()
        if now != self._factors_at:
            self._look_round(now)
        requests, tokens = cost.requests * self._request_s, cost.tokens * self._token_s
        alone = max(requests, tokens)
        return max(requests * self._request_factor, tokens * self._token_factor) / alone if alone > 0 else 1.0

    def sharing_later(self, cost: Cost) -> float:
        """Tell by what all have been asked for; those who were told to come back then come as the limit has room."""
        return 1 + self._besides if self._clock() < self._heard_until else self.sharing(cost)

    def coming(self) -> None:
        """Tell the others at once what will wait here or come back, where as much at each of them would be a queue.

        In a sudden rush each replica lets in as many as it could serve alone, and sends the rest away for as long as
        they would wait alone, until it knows of the others.
        """
        if self._waiters is None or not self._dimensions or self.asking():
            return
        living, now = self._store.living(), self._clock()
        expected = self._waiters.expected(living) + self._waiters.booked(living)
        if expected * living >= ROUND_S and (expected >= NEWS * self._told or now >= self._told_at + LEASE_S):
            self._news = True
            self._ask()

    def credit(self, now: float) -> float:
        """Return the smallest credit of both dimensions: what is held here and left in the shared bucket."""
        if now != self._factors_at:
            self._look_round(now)
        least = math.inf
        for dimension, factor in zip(self._dimensions, self._factors, strict=True):
            least = min(least, dimension.credit(factor, now))
        return least

    def lost(self, now: float) -> None:
        """Redis is out of reach: go on with limit / replicas, at once."""
        self._reachable = False
        self._heard_until = -math.inf
        if self._lost_at is None:
            since = self._store.lost_since()
            self._lost_at = now if since is None else since
        for dimension in self._dimensions:
            dimension.alone(self._store.living(), max(now, self._closed_until), now)
        self._factors_at = math.nan
        self._serve()

    def back(self) -> None:
        """Redis is in reach again: tell what was spent meanwhile, and lease as soon as that is known there."""
        self._reachable = True
        if self._dimensions:
            self._ask()

    def held(self) -> float:
        """Seconds of the limit that this replica has leased and not spent, in the dimension with most of it."""
        return max((dimension.lease.held for dimension in self._dimensions), default=0.0)

    def asking(self) -> bool:
        """Whether an answer is on its way."""
        return self._due is not None or self._reply is not None

    async def aclose(self) -> None:
        """Return what is held."""
        self._cancel_timers()
        self._waiters = None
        if self._reply is not None:
            await asyncio.wait([self._reply])
        now = asyncio.get_running_loop().time()
        for dimension in self._dimensions:
            dimension.surplus(0.0, now)
        self._head, self._wanted_at = _NOTHING, -math.inf
        if any(dimension.returns() for dimension in self._dimensions):
            self._exchange(self._call(now, wants=False), now)
        if self._reply is not None:
            await asyncio.wait([self._reply])
        self._cancel_timers()

    def _runs_out(self, now: float) -> bool:
        """Whether to ask for more: where calls wait, the scarcest dimension decides, which is the last to run out."""
        backlog = self._backlog()
        short = [dimension.runs_out(backlog, now) for dimension in self._dimensions]
        return bool(short) and (all(short) if backlog > 0 else any(short))

    def _want(self, cost: Cost, now: float) -> None:
        self._head, self._wanted_at = cost, now
        self._ask()

    def _patience(self, now: float) -> float:
        """Seconds in which an answer must have come; there is another look then, or earlier when it is there."""
        return max(self._called_at + self._store.patience_s - now, self._store.patience_s / 2)

    def _ask(self) -> None:
        """Call Redis at the end of this tick, so that the call knows all that is wanted by then."""
        if self._due is None and self._reply is None and self._reachable:
            self._due = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._due = None
        now = asyncio.get_running_loop().time()
        call = self._call(now, wants=True)
        nothing = all(ask.want <= 0 and ask.taken == 0 for ask in call.asks)
        if nothing and not (self._news or call.closed_s or call.lost_s):
            return
        self._exchange(call, now)

    def _exchange(self, call: LeaseCall, now: float) -> None:
        reply = self._store.lease(self._name, call)
        if reply is None:
            self._unanswered(call)
            return
        self.leases += 1
        self._news, self._told, self._told_at = False, call.waiting + call.booked, now
        self._reply, self._called_at = reply, now
        reply.add_done_callback(partial(self._answered, call))

    def _call(self, now: float, *, wants: bool) -> LeaseCall:
        backlog = self._backlog()
        wanted = wants and (backlog > 0 or now - self._wanted_at < LEASE_S)
        head = self._head if wanted else _NOTHING
        asks = tuple(dim.ask(dim.units_of(head), backlog, now, wants=wanted) for dim in self._dimensions)
        lost_s = 0.0 if self._lost_at is None else max(now - self._lost_at, 1e-6)
        closed_s = max(self._closed_until - now, 0.0) if self._untold_close else 0.0
        self._untold_close = False
        if self._waiters is None:
            return LeaseCall(asks, lost_s, closed_s)
        living = self._store.living()
        return LeaseCall(asks, lost_s, closed_s, self._waiters.expected(living), self._waiters.booked(living))

    def _answered(self, call: LeaseCall, done: asyncio.Future[LeaseReply]) -> None:
        self._reply = None
        if done.cancelled() or done.exception() is not None:
            self._unanswered(call)
            return
        reply = done.result()
        at = self._store.clock.on_loop(reply.now)
        self._wanting = max(reply.wanting, 1)
        self._beside, self._besides, self._heard_until = reply.beside, reply.besides, at + WANTING_S
        if call.lost_s:
            self._lost_at = None
        for dimension, ask, grant in zip(self._dimensions, call.asks, reply.grants, strict=True):
            dimension.granted(ask, grant, at)
        self._factors_at = math.nan
        self._heed(at + reply.closed_s if reply.closed_s > 0 else -math.inf)
        self._tidy_later()
        self._serve()

    def _heed(self, closed_until: float) -> None:
        """Believe the shared gate, unless we know of a later one that has not been told yet."""
        if self._untold_close:
            self._ask()
            closed_until = max(closed_until, self._closed_until)
        self._closed_until = closed_until
        for dimension in self._dimensions:
            dimension.close(closed_until)

    def _unanswered(self, call: LeaseCall) -> None:
        """Keep what the others must know for the next call; the store tells by `lost` that it is out of reach."""
        self._untold_close |= call.closed_s > 0
        for dimension, ask in zip(self._dimensions, call.asks, strict=True):
            dimension.unanswered(ask)

    def _serve(self) -> None:
        if self._waiters:
            self._waiters.serve()

    def _tidy_later(self) -> None:
        if self._tidying is None and any(dimension.lease.held for dimension in self._dimensions):
            self._tidying = asyncio.get_running_loop().call_later(LEASE_S, self._tidy)

    def _tidy(self) -> None:
        """Return what is held in excess: all of it when nothing was wanted for a while."""
        self._tidying = None
        now = asyncio.get_running_loop().time()
        backlog = self._backlog()
        quiet = backlog <= 0 and now - self._wanted_at >= LEASE_S
        for dimension in self._dimensions:
            head = dimension.units_of(self._head) / dimension.rate
            dimension.surplus(0.0 if quiet else max(head, dimension.soon(backlog, now)), now)
        if any(dimension.returns() for dimension in self._dimensions):
            self._ask()
        self._tidy_later()

    def _backlog(self) -> float:
        """Return all that waits, in seconds of the limit."""
        return self._waiters.backlog() if self._waiters and self._dimensions else 0.0

    def _look_round(self, now: float) -> None:
        """See what others leave of each dimension; a call at the door asks many times in one instant."""
        turns = 1 + GROWN * self._beside if now < self._heard_until else 1.0
        self._factors = [max(dimension.factor(self._wanting, now), turns) for dimension in self._dimensions]
        self._factors_at = now
        for dimension, factor in zip(self._dimensions, self._factors, strict=True):
            if dimension.name == "requests":
                self._request_factor = factor
            else:
                self._token_factor = factor

    def _cancel_timers(self) -> None:
        for timer in (self._due, self._tidying):
            if timer:
                timer.cancel()
        self._due = self._tidying = None


def _dimensions(limits: Limits) -> Iterable[SharedDimension]:
    """Return the dimensions that are limited; a request cannot be divided, so a bucket holds at least one."""
    for name, per_minute, at_least in (
        ("requests", limits.requests_per_minute, 1.0),
        ("tokens", limits.tokens_per_minute, 0.0),
    ):
        if per_minute is not None:
            rate = limits.use * per_minute / 60
            yield SharedDimension(name, rate, max(limits.burst_s, at_least / rate), per_minute / 60)
