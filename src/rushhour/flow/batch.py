"""Late-bound batching: a hop for single requests, made of a hop for many.

While a carrier waits for its turn at the pacer, requests gather; when the turn comes, it takes everything that waits,
across callers and tenants, up to what the provider allows in one call. So the busier the hop, the larger the
batches, and nobody waits for a timer. The batch is not a policy, because it changes the type of the request.

A caller who leaves is dropped before sending. A batch that is refused for what is in it is split until the poisonous
request stands alone and fails alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rushhour.errors import DeadlineExceeded, MalformedReply, Rejected, RushhourError, TooLarge
from rushhour.flow.algorithms.fair_queue import Entry, FairQueue
from rushhour.flow.call import Call, Event, Hop, Lane, Policy, ignore, stack
from rushhour.flow.ledger.contract import Cost

Q = TypeVar("Q")
R = TypeVar("R")


class Batched(Event, frozen=True):
    """The request travelled with `items` in one call, and is accountable for `share` of its `events`."""

    items: int
    share: float
    waited: float
    events: tuple[Event, ...]


@dataclass(slots=True, eq=False)
class _Rider(Generic[Q, R]):
    """One request, whose caller waits for `reply`."""

    request: Q
    call: Call
    size: float
    reply: asyncio.Future[R]
    joined: float
    departed: float = 0.0


@dataclass(slots=True, eq=False)
class Parcel(Generic[Q, R]):
    """What a carrier takes through the policies: open until its turn comes, then loaded."""

    lane: Lane
    riders: list[_Rider[Q, R]] = field(default_factory=list)
    closed: bool = False
    """A closed parcel takes nobody on: it is a piece of a batch that was split."""


class Batch(Generic[Q, R]):
    """Carries single requests in calls of up to `max_items` whose sizes add up to at most `max_size`.

    `spacing_s` is the least time between two departures: a lone request goes at once, and in a rush each carrier
    collects what arrived meanwhile, where several free slots would otherwise leave with one request each.

    `ship` does one call for many requests and returns as many replies, in order; `policies` stand round it. `watch`
    is told the events of the shared calls. Use `parcel_cost` as the pacer's cost.
    """

    def __init__(
        self,
        ship: Hop[Sequence[Q], Sequence[R]],
        *policies: Policy,
        max_items: int,
        max_size: float,
        size: Callable[[Q], float],
        watch: Callable[[Event], None] = ignore,
        hop: str = "",
        spacing_s: float = 0.0,
    ) -> None:
        if max_items < 1 or max_size <= 0:
            raise ValueError(f"a batch of at most {max_items} items and size {max_size} could carry nothing")
        self._ship = ship
        self._carry: Hop[Parcel[Q, R], None] = stack(self._send, *policies)
        self._max_items = max_items
        self._max_size = max_size
        self._size = size
        self._watch = watch
        self._hop = hop
        self._spacing = spacing_s
        self._next_departure = -math.inf
        self._waiting: dict[Lane, FairQueue[_Rider[Q, R]]] = {lane: FairQueue() for lane in Lane}
        self._waiting_size = 0.0
        self._collecting: dict[Lane, Parcel[Q, R]] = {}
        self._carriers: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Q, call: Call) -> R:
        """Wait for a place in a batch, and for this request's own reply."""
        loop = asyncio.get_running_loop()
        size = self._size(request)
        if size > self._max_size:
            raise TooLarge(
                f"The request for {self._hop or 'this hop'} has size {size:.0f}; one call carries at most "
                f"{self._max_size:.0f}. Split it into smaller pieces."
            )
        rider: _Rider[Q, R] = _Rider(request, call, size, loop.create_future(), loop.time())
        entry = Entry(rider, call.tenant, call.deadline, max(size, 1.0), 0)
        self._waiting[call.lane].push(entry)
        self._waiting_size += size
        self._send_for_carrier(call.lane)
        try:
            return await rider.reply
        finally:
            if entry.live:
                self._waiting[call.lane].remove(entry)
                self._waiting_size -= size
            if rider.reply.done() and not rider.reply.cancelled():
                rider.reply.exception()  # seen, even if the caller is being cancelled at this very moment

    def parcel_cost(self, parcel: Parcel[Q, R]) -> Cost:
        """Return what the parcel would be charged if it went now; nothing if nobody is left to ride."""
        aboard = sum(rider.size for rider in parcel.riders)
        someone = bool(parcel.riders)
        if not parcel.closed:
            aboard += self._waiting_size
            someone = someone or any(self._waiting.values())
        return Cost(1.0, min(aboard, self._max_size)) if someone else Cost(0.0, 0.0)

    async def aclose(self) -> None:
        """Stop all carriers; whoever still waits is cancelled."""
        carriers = list(self._carriers)
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)

    def _send_for_carrier(self, lane: Lane) -> None:
        if lane in self._collecting or not self._waiting[lane]:
            return
        parcel: Parcel[Q, R] = Parcel(lane)
        self._collecting[lane] = parcel
        self._start(parcel)

    def _start(self, parcel: Parcel[Q, R]) -> None:
        carrier = asyncio.ensure_future(self._deliver(parcel))
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _deliver(self, parcel: Parcel[Q, R]) -> None:
        """Take one parcel through the policies, and see to it that every rider gets a reply or an error."""
        events: list[Event] = []

        def note(event: Event) -> None:
            events.append(event)
            self._watch(event)

        try:
            await self._keep_distance()
            await self._carry(parcel, Call(tenant="batch", lane=parcel.lane, emit=note, hop=self._hop))
        except (Rejected, TooLarge) as cause:
            self._split(parcel, cause)
        except RushhourError as cause:
            self._take_all(parcel)
            _fail(parcel, cause)
        except BaseException:
            self._take_all(parcel)
            for rider in parcel.riders:
                rider.reply.cancel()
            raise
        finally:
            self._close(parcel)
            _account(parcel, tuple(events))

    async def _keep_distance(self) -> None:
        now = asyncio.get_running_loop().time()
        departure = max(now, self._next_departure)
        self._next_departure = departure + self._spacing
        if departure > now:
            await asyncio.sleep(departure - now)

    async def _send(self, parcel: Parcel[Q, R], call: Call) -> None:
        """Load the parcel, now that its turn has come, and make the one call for all who ride."""
        self._load(parcel)
        if not parcel.riders:
            return
        riders = parcel.riders
        replies = await self._ship([rider.request for rider in riders], call)
        if len(replies) != len(riders):
            raise MalformedReply(f"{self._hop or 'The upstream'} answered {len(replies)} of {len(riders)} items.")
        for rider, reply in zip(riders, replies, strict=True):
            if not rider.reply.done():
                rider.reply.set_result(reply)

    def _load(self, parcel: Parcel[Q, R]) -> None:
        """Drop who left, and take on who waits, as many as one call carries."""
        now = asyncio.get_running_loop().time()
        parcel.riders = [rider for rider in parcel.riders if not rider.reply.done()]
        if not parcel.closed:
            room = self._max_size - sum(rider.size for rider in parcel.riders)
            for lane in Lane:
                room = self._board(parcel, lane, room, now)
        self._close(parcel)

    def _board(self, parcel: Parcel[Q, R], lane: Lane, room: float, now: float) -> float:
        queue = self._waiting[lane]
        while len(parcel.riders) < self._max_items and (entry := queue.peek()) is not None:
            rider = entry.item
            if rider.size > room:
                break
            queue.pop()
            self._waiting_size -= rider.size
            if rider.call.deadline < now:
                rider.reply.set_exception(DeadlineExceeded("The request's deadline passed before it was sent."))
                continue
            room -= rider.size
            rider.departed = now
            parcel.riders.append(rider)
        return room

    def _close(self, parcel: Parcel[Q, R]) -> None:
        """Let the next carrier collect whoever still waits."""
        if self._collecting.get(parcel.lane) is parcel:
            del self._collecting[parcel.lane]
        self._send_for_carrier(parcel.lane)

    def _take_all(self, parcel: Parcel[Q, R]) -> None:
        """Give a carrier that was refused before it could load everyone who waited for it."""
        if self._collecting.get(parcel.lane) is not parcel:
            return
        queue, now = self._waiting[parcel.lane], asyncio.get_running_loop().time()
        while queue:
            rider = queue.pop().item
            self._waiting_size -= rider.size
            rider.departed = now
            parcel.riders.append(rider)

    def _split(self, parcel: Parcel[Q, R], cause: RushhourError) -> None:
        """Send each half on its own; who stands alone is the one the upstream refuses."""
        if len(parcel.riders) <= 1:
            _fail(parcel, cause)
            return
        middle = len(parcel.riders) // 2
        for riders in (parcel.riders[:middle], parcel.riders[middle:]):
            self._start(Parcel(parcel.lane, riders, closed=True))
        parcel.riders = []


def _fail(parcel: Parcel[Q, R], cause: RushhourError) -> None:
    for rider in parcel.riders:
        if not rider.reply.done():
            rider.reply.set_exception(cause)


def _account(parcel: Parcel[Q, R], events: tuple[Event, ...]) -> None:
    """Tell every rider what its journey took."""
    total = sum(rider.size for rider in parcel.riders) or 1.0
    for rider in parcel.riders:
        waited = max(0.0, rider.departed - rider.joined)
        rider.call.emit(Batched(rider.call.hop, len(parcel.riders), rider.size / total, waited, events))
