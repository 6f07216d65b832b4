"""No permit, place or quota is ever lost, whoever is cancelled and whenever."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rushhour.errors import (
    AttemptTimeout,
    ConnectionLost,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Throttled,
    TruncatedStream,
    Unavailable,
)
from rushhour.flow.algorithms.fair_queue import FairQueue
from rushhour.flow.algorithms.gradient import Gradient2
from rushhour.flow.call import Call, Event, Lane, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.hedge import Hedge, HedgeSettings
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry
from rushhour.flow.stream import Stream
from rushhour.testing import VirtualTimeLoop, run_virtual


async def words(pause: float = 0.0, cause: Exception | None = None) -> AsyncIterator[str]:
    """Yield three words, or break off before the last."""
    for number in range(3):
        await asyncio.sleep(pause)
        if number == 2 and cause is not None:
            raise cause
        yield "word"


class Permits(RuleBasedStateMachine):
    """Calls enter, are answered, fail, stream and leave; reservations are made and abandoned; the model counts."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.limited = Concurrency(1)
        self.calls: list[asyncio.Task[Any]] = []
        self.inside: dict[asyncio.Future[Any], None] = {}
        self.streams: list[Stream[str]] = []
        self.learns = False
        self.served_late = 0

    @initialize(limit=st.integers(1, 4), learns=st.booleans())
    def build(self, limit: int, learns: bool) -> None:
        """Cap the calls at a number, or at what is learned."""
        self.learns = learns
        self.limited = Concurrency(Gradient2(limit, 1, 6) if learns else limit)

    def settle(self) -> None:
        """Let everything happen that is due now."""

        async def passes() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(passes())

    async def hop(self, _request: object, call: Call) -> object:
        """Wait for the outcome that a rule gives."""
        self.served_late += call.deadline < self.loop.time()
        outcome: asyncio.Future[Any] = self.loop.create_future()
        self.inside[outcome] = None
        try:
            return await outcome
        finally:
            del self.inside[outcome]

    @rule(lane=st.sampled_from(list(Lane)), patience=st.sampled_from([math.inf, 5.0]))
    def enter(self, lane: Lane, patience: float) -> None:
        """Somebody calls."""
        call = Call(lane=lane, deadline=self.loop.time() + patience)
        self.calls.append(self.loop.create_task(stack(self.hop, self.limited)("q", call)))  # type: ignore[arg-type]  # the awaitable of a policy is a coroutine
        self.settle()

    @precondition(lambda self: self.inside)
    @rule(
        which=st.integers(0),
        outcome=st.sampled_from(
            ["ok", "stream", AttemptTimeout(), ConnectionLost(), Throttled(), Rejected(), KeyError()]
        ),
    )
    def answer(self, which: int, outcome: object) -> None:
        """Let one of those inside be answered, or fail."""
        future = list(self.inside)[which % len(self.inside)]
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        elif outcome == "stream":
            stream = Stream(words())
            self.streams.append(stream)
            future.set_result(stream)
        else:
            future.set_result(outcome)
        self.settle()

    @precondition(lambda self: self.streams)
    @rule(which=st.integers(0), error=st.sampled_from([None, None, ConnectionLost(), TruncatedStream()]))
    def close(self, which: int, error: Exception | None) -> None:
        """End one of the streams."""
        stream = self.streams.pop(which % len(self.streams))
        self.loop.run_until_complete(stream.__aexit__(type(error) if error else None, error, None))
        self.settle()

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0), answered=st.booleans(), passes=st.integers(0, 3))
    def cancel(self, which: int, answered: bool, passes: int) -> None:
        """Make a caller leave, perhaps between the moment another's permit is his and the moment he takes it."""
        if answered and self.inside:
            next(iter(self.inside)).set_result("ok")
        self.calls = [call for call in self.calls if not call.done()]
        if self.calls:
            self.cancel_after(passes, self.calls[which % len(self.calls)])
        self.settle()

    def cancel_after(self, passes: int, call: asyncio.Task[Any]) -> None:
        """Cancel after so many passes of the loop."""
        if passes:
            self.loop.call_soon(self.cancel_after, passes - 1, call)
        else:
            call.cancel()

    @precondition(lambda self: self.limited.free())
    @rule()
    def reserve(self) -> None:
        """Keep a permit, as a pacer does."""
        self.limited.reserve()

    @rule()
    def abandon(self) -> None:
        """Return a reservation, if there is one."""
        self.limited.abandon()
        self.settle()

    @rule(seconds=st.sampled_from([0.05, 0.3, 6.0]))
    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @invariant()
    def permits_are_those_inside(self) -> None:
        """Be in flight only inside the hop or as an open stream, within a fixed limit, and wait for no free room."""
        self.settle()
        assert self.limited.in_flight == len(self.inside) + len(self.streams)
        assert self.limited.reserved >= 0
        assert self.served_late == 0
        if not self.learns:
            assert self.limited.in_flight + self.limited.reserved <= self.limited.limit
        if self.limited.free():
            assert not any(not place[-1].done() for place in self.limited._waiting)

    def teardown(self) -> None:
        """When everybody has left, everything is free."""
        for call in self.calls:
            call.cancel()
        for stream in self.streams:
            self.loop.run_until_complete(stream.aclose())
        self.loop.run_until_complete(asyncio.wait_for(self._gone(), 1.0))
        for _ in range(self.limited.reserved):
            self.limited.abandon()
        assert (self.limited.in_flight, self.limited.reserved) == (0, 0)
        assert self.limited.free()
        self.loop.close()

    async def _gone(self) -> None:
        """Wait until the last call has ended; cancelled ones that no rule knows any more included."""
        await asyncio.gather(*self.calls, return_exceptions=True)
        await asyncio.sleep(0.1)


TestPermits = Permits.TestCase
TestPermits.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


class Provider:
    """Answers at random: at once or late, well or badly, whole or as a stream; counts who is inside."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.well = True
        self.inside = 0
        self.peak = 0

    async def __call__(self, _request: object, _call: Call) -> object:
        """Throw the dice."""
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        outcome: object = "ok"
        try:
            await asyncio.sleep(1.0 if self.well else self.dice.choice([0.0, 0.1, 1.0, 8.0]))
            outcome = "ok" if self.well else self._outcome()
            if isinstance(outcome, Exception):
                raise outcome
        finally:
            if not isinstance(outcome, Stream):
                self.inside -= 1
        return outcome

    def _outcome(self) -> object:
        kind = self.dice.random()
        if kind < 0.35:
            return "ok"
        if kind < 0.75:
            broken = self.dice.choice([None, None, ConnectionLost(), TruncatedStream(), KeyError("bug")])
            stream = Stream(words(self.dice.choice([0.0, 0.2, 3.0]), broken))
            stream.on_close(self._closed)
            return stream
        failures = [
            Throttled(retry_after=0.5),
            Throttled(),
            Unavailable(),
            AttemptTimeout(),
            Rejected(),
            KeyError("bug"),
        ]
        return self.dice.choice([*failures, QuotaExhausted()] if self.dice.random() < 0.1 else failures)

    def _closed(self, _error: BaseException | None) -> None:
        self.inside -= 1


async def visit(asked: Any, call: Call, dice: random.Random) -> None:
    """Call, and read the stream that may come, or leave it unread."""
    reply = await asked("q", call)
    if isinstance(reply, Stream):
        async with reply:
            if dice.random() < 0.8:
                async for _ in reply:
                    if dice.random() < 0.2:
                        break


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    permits=st.integers(1, 6),
    learns=st.booleans(),
    visits=st.integers(1, 60),
    leaving=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_nothing_is_lost_in_the_whole_stack(seed: int, permits: int, learns: bool, visits: int, leaving: float) -> None:
    """Deadlines, retries, an open circuit, a full queue, hedges, streams and callers who leave: all comes back.

    In the end calls are answered, none is in flight, nobody waits, no task is left, the quota gives its full burst.
    """

    async def scene() -> None:
        dice, loop, seen = random.Random(seed), asyncio.get_running_loop(), set[str]()
        provider = Provider(dice)

        def note(happened: Event) -> None:
            seen.add(type(happened).__name__)

        room = Concurrency(Gradient2(permits, 1, 8) if learns else permits)
        breaker = Breaker(BreakerSettings(minimum_calls=10, slow_s=5.0), dice)
        quota = MemoryQuota(Limits(1200, None, 2.0, use=1.0))
        paced = Pace(quota, queue=FairQueue(), rng=dice, room=room)
        hedge = Hedge(paced.take_spare, HedgeSettings(share=1.0), room)
        asked = stack(provider, Deadline(), Retry(rng=dice), breaker, paced, room, hedge, breaker.watch)
        await asyncio.gather(*(asked("q", Call()) for _ in range(60)))  # hedges need to know what is late
        provider.well = False

        calls = []
        for n in range(visits):
            await asyncio.sleep(dice.choice([0.0, 0.0, 0.05, 0.5]))
            patience = dice.choice([2.0, 10.0, 30.0])
            call = Call(f"tenant {n % 3}", loop.time() + patience, dice.choice(list(Lane)), note)
            calls.append(asyncio.ensure_future(visit(asked, call, dice)))
            if dice.random() < leaving:
                loop.call_later(dice.choice([0.0, 0.05, 0.1, 1.0, 1.1, 5.0]), calls[-1].cancel)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(100.0)
        provider.well = True
        for _ in range(3):  # nor did an open circuit keep a probe for ever
            assert await asked("q", Call(deadline=loop.time() + 50.0)) == "ok"
        await asyncio.sleep(100.0)

        assert all(isinstance(one, RushhourError | KeyError | asyncio.CancelledError | None) for one in outcomes)
        assert provider.inside == 0
        assert learns or provider.peak <= permits
        assert (room.in_flight, room.reserved, paced.waiting()) == (0, 0, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert quota.wait(Cost(requests=40.0), loop.time()) == 0
        assert quota.credit(loop.time()) == pytest.approx(2.0)
        for name in sorted(seen):
            event(name)

    run_virtual(scene())
