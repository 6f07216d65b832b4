"""Send as fast as the provider's limit allows and no faster; whoever cannot go yet waits in fair order.

Whether a call may go is the quota's business, who goes next the queue's. A 429 closes a gate for the whole hop until
the advised time (rule 1): every waiting call is slowed by it, not just the one that met it. A call whose predicted
wait exceeds its deadline is refused on arrival with the time after which it would fit (rule 5), unless it has had its
turn before: it is older than most that wait, and goes before them. Where calls in flight
are capped too, the pacer admits only into free room, so that one queue decides who goes next, whatever is scarce. A
queue in which everybody is served too late serves its newest first, until that helped.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec

from rushhour.errors import CircuitOpen, DeadlineExceeded, QueueFull, Throttled, WouldMissDeadline
from rushhour.flow.algorithms.fair_queue import Entry, FairQueue
from rushhour.flow.algorithms.promises import Promise, Promises
from rushhour.flow.algorithms.recent import Recent
from rushhour.flow.algorithms.returns import Returns
from rushhour.flow.algorithms.standing import StandingQueue
from rushhour.flow.allowance import LimitsSeen
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.ledger.contract import Cost, Mark, Quota
from rushhour.flow.room import Room
from rushhour.flow.stream import Stream

CostOf = Callable[[Any], Cost]

CAUTION = 1.25
"""A call that has to wait is let in if this much of the upstream's usual time would be left to it."""
SLIP = 1.02
"""A wait takes this many times what is predicted: calls that fail go a second time, and replicas take turns."""
LONGEST_GATE_S = 7 * 86_400.0
"""A longer wait than this is a mistake of the sender's, not advice."""
JITTER = 1.1
"""Whoever is told to come back is told up to this many times the time: those who were refused at once return apart."""
HOPELESS = 0.5
"""With less time left than this part of what the upstream usually takes, a call would be paid for in vain."""
TICK_S = 0.001
"""The shortest timer: uvloop's clock has this resolution and rounds, so a shorter one would spin until the next tick.
Nothing is lost by waking late: the quota remembers what became due."""


def one_request(_request: Any) -> Cost:
    """Charge a request and no tokens."""
    return Cost()


@dataclass(frozen=True, slots=True)
class PaceSettings:
    """`max_waiting` bounds the queue; `backoff_s` is the gate after a 429 that advises no time."""

    max_waiting: int = 10_000
    backoff_s: float = 0.5
    gate_jitter: float = 0.1


class Queued(Event, frozen=True):
    """The call waits: `position` calls go before it, for about `eta` seconds."""

    position: int
    eta: float


class Admitted(Event, frozen=True):
    """The call goes to the provider after `waited` seconds in the queue."""

    waited: float


class Gated(Event, frozen=True):
    """A 429 closed the gate for the whole hop, for `seconds`."""

    seconds: float


class _Price(NamedTuple):
    """What a call costs, in seconds of the whole limit, and how many times longer that takes where it is shared.

    `busy` is more than the `price` where permits are scarcer.
    """

    price: float
    busy: float
    sharing: float


class _Waiting(msgspec.Struct, eq=False):
    """A call in the queue; the future is resolved when it may go."""

    request: Any
    cost: Cost
    go: asyncio.Future[None]
    taken: Cost | None = None


class Pace:
    """Rate limit and queue of one hop; `room` is the cap on calls in flight that stands right behind it.

    `cost` is asked on arrival, or, if `grows`, at each look: a batch takes people on until it goes.
    """

    def __init__(
        self,
        quota: Quota,
        cost: CostOf = one_request,
        queue: FairQueue[Any] | None = None,
        settings: PaceSettings | None = None,
        rng: random.Random | None = None,
        room: Room | None = None,
        *,
        grows: bool = False,
    ) -> None:
        self._quota = quota
        self._cost = cost
        self._grows = grows
        self._queue: FairQueue[_Waiting] = FairQueue() if queue is None else queue
        self._settings = settings or PaceSettings()
        self._random = rng or random.Random()
        self._room = room
        self._promises = Promises()
        self._returns = Returns()
        self._standing = StandingQueue()
        self._upstream = Recent()
        self._latest_price = 0.0
        self._gate = -math.inf
        self._timer: asyncio.Handle | None = None
        self._timer_due = math.inf
        self._wants_room = False
        quota.attach(self)
        if room:
            room.attach(self._freed)

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Wait for a turn, then go; a 429 closes the gate and is raised for `Retry` to bring back."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        cost = self._cost(request)
        if self._queue or self._obstacle(cost, begun):
            entry = self._join(request, cost, call, begun)
            try:
                await entry.item.go
            except asyncio.CancelledError:
                self._leave(entry)
                raise
            cost = entry.item.cost
        else:
            self._admit(cost, begun)
        call.emit(Admitted(call.hop, clock() - begun))
        left = self._quota.mark(clock())
        try:
            reply = await inner(request, call.telling(self._listening(call, left, clock)))
        except Throttled as cause:
            self._close_gate(cause, left, call)
            raise
        except CircuitOpen:  # it opened meanwhile: nothing was sent
            self._quota.give_back(cost)
            raise
        except asyncio.CancelledError:
            if (took := clock() - left.at) > self._upstream.value:  # it would have taken this long at least
                self._upstream.add(took)
            raise
        now = clock()
        self._quota.succeeded(left, now)
        if isinstance(reply, Stream):
            reply.on_close(partial(self._told, left.at, clock, reply))
        else:
            self._upstream.add(now - left.at)
        return reply

    def _told(
        self, left_at: float, clock: Callable[[], float], reply: Stream[Any], failure: BaseException | None
    ) -> None:
        """Learn how long a whole answer takes: whoever has time for its first word alone is not helped by it."""
        took = clock() - left_at
        if failure is None and (reply.whole or took > self._upstream.value):  # one left before its end says less
            self._upstream.add(took)

    def _listening(self, call: Call, left: Mark, clock: Callable[[], float]) -> Callable[[Event], None]:
        """Learn from what the reply says about the limit, and pass on all that is told."""

        def emit(event: Event) -> None:
            if isinstance(event, LimitsSeen):
                self._quota.learn(event.limits, left, clock())
            call.emit(event)

        return emit

    def waiting(self) -> int:
        """How many calls wait now."""
        return len(self._queue)

    def backlog(self) -> float:
        """Cost of all that wait, in seconds of the limit."""
        return self._queue.backlog()

    def expected(self, replicas: int) -> float:
        """Cost of what people wait for, or were promised; nothing where permits are scarcer than an equal share."""
        return 0.0 if self._lacks_permits(replicas) else self._queue.urgent() + self._promises.total

    def booked(self, replicas: int) -> float:
        """Cost of all that were sent away and told when to come back; nothing likewise."""
        return 0.0 if self._lacks_permits(replicas) else self._returns.booked(asyncio.get_running_loop().time())

    def predict(self, cost: Cost, call: Call, now: float) -> float:
        """Seconds a call of this cost would wait, were it to join now: what the doors tell before anything is spent."""
        price = self._priced(cost)
        return self._wait_after(self._promises.before(call.tenant, price.busy), price, call, now)

    def advise(self, wait: float, cost: Cost, call: Call, now: float) -> float:
        """Seconds after which a call that is refused for its `wait` should come back, behind those told so before."""
        times = self._quota.sharing_later(cost)
        at = self._returns.after(wait, call.tenant, self._priced(cost).busy, now, times)
        self._quota.coming()
        return at * self._random.uniform(1.0, JITTER)

    def promise(self, cost: Cost, call: Call) -> Promise:
        """Count a call that will join soon in what others are told; leave the block when it joins."""
        promise = self._promises.of(call.tenant, self._priced(cost).busy)
        self._quota.coming()
        return promise

    def take_spare(self, request: Any) -> bool:
        """Debit one more call if the limit has room for it at this moment; never while anybody waits."""
        now = asyncio.get_running_loop().time()
        cost = self._cost(request)
        if self._queue or self._gate > now or self._quota.wait(cost, now):
            return False
        self._quota.take(cost, now)
        return True

    def _lacks_permits(self, replicas: int) -> bool:
        return self._room is not None and self._room.pace() > replicas * self._latest_price

    def _wait_after(self, promised: float, price: _Price, call: Call, now: float) -> float:
        """Return what a call waits that is priced so, and goes after the promised."""
        ahead = promised + self._queue.ahead_of(call.tenant, price.busy, call.lane)
        wait = (ahead + price.price) * price.sharing - self._quota.credit(max(now, self._gate))
        if self._room and (self._queue or not self._room.free()):
            wait = max(wait, ahead * price.sharing + self._room.pace())
        return max(0.0, self._gate - now) + max(0.0, wait)

    def _priced(self, cost: Cost) -> _Price:
        """Price a cost by whatever is scarcest now; the latest price stands for what calls cost here."""
        price, sharing = self._quota.price(cost), self._quota.sharing(cost)
        self._latest_price = price
        return _Price(price, max(price, self._room.pace() / sharing) if self._room else price, sharing)

    def _obstacle(self, cost: Cost, now: float) -> float:
        """Seconds until it is worth looking again whether this cost may go; infinite where a free permit will tell."""
        if self._room and not self._room.free():
            return math.inf
        return max(self._gate - now, self._quota.wait(cost, now), 0.0)

    def _admit(self, cost: Cost, now: float) -> None:
        self._quota.take(cost, now)
        if self._room:
            self._room.reserve()

    def _join(self, request: Any, cost: Cost, call: Call, now: float) -> Entry[_Waiting]:
        """Stand in line; the future of the place is resolved when its turn has come, which may be at once."""
        price = self._priced(cost)
        eta = self._wait_after(0.0, price, call, now)  # whoever joins goes before those who are only promised
        if len(self._queue) >= self._settings.max_waiting:
            advice = self.advise(eta, cost, call, now)
            raise QueueFull(
                f"{len(self._queue)} calls already wait for {call.hop or 'this hop'}; come back in {advice:.1f} s.",
                retry_after=advice,
            )
        needed = SLIP * eta + (CAUTION * self._upstream.value if eta else 0.0)
        if not call.again and now + needed > call.deadline:
            advice = self.advise(eta, cost, call, now)
            raise WouldMissDeadline(
                f"The wait for {call.hop or 'this hop'} is about {eta:.1f} s and the request's deadline is in "
                f"{call.deadline - now:.1f} s; come back in {advice:.1f} s or allow a longer timeout.",
                retry_after=advice,
            )
        waiting = _Waiting(request, cost, asyncio.get_running_loop().create_future())
        entry = Entry(waiting, call.tenant, call.deadline, price.busy, call.lane)
        call.emit(Queued(call.hop, len(self._queue), eta))
        self._queue.push(entry)
        if self._queue.peek() is entry:
            self.serve()
        return entry

    def _leave(self, entry: Entry[_Waiting]) -> None:
        """Forget a caller that went away; if its turn had come, its cost goes to the next."""
        waiting = entry.item
        if waiting.taken is not None and not waiting.go.cancelled():
            self._quota.give_back(waiting.taken)
            if self._room:
                self._room.abandon()
        now = asyncio.get_running_loop().time()
        if waiting.taken is None and entry.deadline <= now:
            self._standing.note(now, late=True)
        self._queue.remove(entry)
        self.serve()

    def serve(self) -> None:
        """Let everyone go whose turn it is, and set the timer for the next."""
        loop = asyncio.get_running_loop()
        self._wants_room = False
        while True:
            now = loop.time()
            self._queue.newest_first = self._standing.standing(now)
            entry = self._queue.peek()
            if entry is None:
                return
            waiting = entry.item
            if waiting.go.done() or entry.deadline < now + HOPELESS * self._upstream.value:
                self._turn_away(entry, now)
                continue
            if self._grows:
                waiting.cost = self._cost(waiting.request)
            pause = self._obstacle(waiting.cost, now)
            if pause > 0:
                self._look_again(now + max(pause, TICK_S))
                return
            self._admit(waiting.cost, now)
            self._standing.note(now, late=entry.deadline - now < self._upstream.value)
            waiting.taken = waiting.cost
            self._queue.serve(entry)
            waiting.go.set_result(None)

    def _look_again(self, due: float) -> None:
        """Set the timer, unless it goes off before: one look too many costs less than setting it each time.

        When it goes off we remember ourselves: of a timer that is due at once, uvloop makes a handle that cannot tell.
        """
        if math.isinf(due):
            self._wants_room = True
            return
        if self._timer:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.serve()

    def _freed(self) -> None:
        if self._wants_room:
            self.serve()

    def _turn_away(self, entry: Entry[_Waiting], now: float) -> None:
        """Refuse a call that could not finish in time any more; with the deadline passed there is nothing to refuse."""
        self._queue.remove(entry)
        if entry.item.go.done():
            return
        self._standing.note(now, late=True)
        left = entry.deadline - now
        if left < 0:
            entry.item.go.set_exception(DeadlineExceeded("The request's deadline passed in the queue."))
            return
        usual = self._upstream.value
        late = (
            f"Its turn came {left:.1f} s before the deadline, but a reply takes {usual:.1f} s; allow a longer timeout."
        )
        entry.item.go.set_exception(WouldMissDeadline(late, retry_after=max(usual, TICK_S)))

    def _close_gate(self, cause: Throttled, left: Mark, call: Call) -> None:
        """Hold the hop until the advised time; the provider's bucket is empty then, so no burst follows."""
        now = asyncio.get_running_loop().time()
        told = cause.retry_after
        sane = told is not None and 0 <= told <= LONGEST_GATE_S
        advised = told if told is not None and sane else self._settings.backoff_s
        until = now + advised * self._random.uniform(1.0, 1.0 + self._settings.gate_jitter)
        self._quota.throttled(left, until, now)
        if until <= self._gate:
            return
        self._gate = until
        call.emit(Gated(call.hop, until - now))
        self.serve()
