"""The pacer under random arrivals: never over the limit, never after the deadline, no tenant behind another's flood."""

import asyncio
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import DeadlineExceeded, Refusal, RushhourError, Throttled
from rushhour.flow.algorithms.fair_queue import FairQueue
from rushhour.flow.call import Call, Hop, Lane, Policy, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace, PaceSettings
from rushhour.flow.policies.retry import Retry
from rushhour.testing import run_virtual


@dataclass(frozen=True)
class Visit:
    """One call: when it comes, how much it costs, how it is answered, when its caller leaves."""

    gap: float
    tokens: float
    tenant: str = "acme"
    lane: Lane = Lane.INTERACTIVE
    patience: float = math.inf
    leaves_after: float | None = None
    refused: tuple[float | None, ...] = ()


@dataclass
class Provider:
    """Notes when each call was sent, what it cost and until when it was wanted."""

    seconds: float = 0.2
    sent: list[tuple[float, Visit, Call]] = field(default_factory=list)
    tried: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    async def __call__(self, visit: Visit, call: Call) -> str:
        """Say 429 as often as the visit wants, then answer."""
        self.sent.append((asyncio.get_running_loop().time(), visit, call))
        tries = self.tried[id(visit)]
        self.tried[id(visit)] += 1
        await asyncio.sleep(self.seconds)
        if tries < len(visit.refused):
            raise Throttled(retry_after=visit.refused[tries])
        return "ok"


def tokens_of(visit: Visit) -> Cost:
    """Charge a request and the visit's tokens."""
    return Cost(1.0, visit.tokens)


async def play(asked: Hop[Visit, Any], visits: list[Visit]) -> list[object]:
    """Let everybody come and leave at his time; return replies and errors."""
    loop = asyncio.get_running_loop()
    calls: list[asyncio.Future[Any]] = []
    for visit in visits:
        await asyncio.sleep(visit.gap)
        call = Call(visit.tenant, loop.time() + visit.patience, visit.lane)
        calling = asyncio.ensure_future(asked(visit, call))
        calls.append(calling)
        if visit.leaves_after is not None:
            loop.call_later(visit.leaves_after, calling.cancel)
    return [*await asyncio.gather(*calls, return_exceptions=True)]


tenants = st.sampled_from(["acme", "globex", "initech"])
lanes = st.sampled_from([Lane.INTERACTIVE, Lane.INTERACTIVE, Lane.BACKGROUND])
leaving = st.one_of(st.none(), st.none(), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]))
advice = st.sampled_from([None, 0.0, 0.05, 1.0, 4.0])
visits_of_all_kinds = st.lists(
    st.builds(
        Visit,
        gap=st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0, 20.0]),
        tokens=st.sampled_from([0.0, 1.0, 30.0, 100.0, 250.0]),
        tenant=tenants,
        lane=lanes,
        patience=st.sampled_from([math.inf, math.inf, 1.0, 5.0, 20.0]),
        leaves_after=leaving,
        refused=st.one_of(st.just(()), st.just(()), st.lists(advice, max_size=3).map(tuple)),
    ),
    min_size=1,
    max_size=40,
)


def within(sent: list[tuple[float, float]], per_second: float, burst: float) -> bool:
    """Whether in every window, from one send to another, the cost stays within the burst and the rate."""
    largest = max((cost for _, cost in sent), default=0.0)
    for first in range(len(sent)):
        total = 0.0
        for at, cost in sent[first:]:
            total += cost
            if total > max(burst, largest) + per_second * (at - sent[first][0]) + 1e-3:
                return False
    return True


@settings(max_examples=100, deadline=None)
@given(visits_of_all_kinds, st.sampled_from([0.5, 1.0, 10.0]), st.sampled_from([None, 1, 3]), st.booleans())
def test_no_window_exceeds_the_limit(visits: list[Visit], burst_s: float, permits: int | None, deadlines: bool) -> None:
    """Whatever comes, is refused and leaves: requests and tokens both stay within burst + rate x time."""

    async def scene() -> None:
        provider = Provider()
        room = Concurrency(permits) if permits else None
        paced = Pace(
            MemoryQuota(Limits(240, 6000, burst_s, use=1.0)), tokens_of, FairQueue(), rng=random.Random(1), room=room
        )
        policies: list[Policy] = [Retry(rng=random.Random(2)), paced, *([room] if room else [])]
        await play(stack(provider, *([Deadline()] if deadlines else []), *policies), visits)

        assert within([(at, 1.0) for at, _, _ in provider.sent], 4.0, 4.0 * burst_s)
        assert within([(at, visit.tokens) for at, visit, _ in provider.sent], 100.0, 100.0 * burst_s)
        assert paced.waiting() == 0

    run_virtual(scene())


@settings(max_examples=150, deadline=None)
@given(visits_of_all_kinds, st.booleans(), st.booleans(), st.sampled_from([None, 1, 3]))
def test_nothing_is_sent_after_its_deadline(
    visits: list[Visit], deadlines: bool, newest_first: bool, permits: int | None
) -> None:
    """Gates, overload, slow calls before it: a call whose time is up is turned away, also without a deadline policy."""

    async def scene() -> None:
        provider = Provider(seconds=1.5)
        queue: FairQueue[Any] = FairQueue()
        queue.newest_first = newest_first
        room = Concurrency(permits) if permits else None
        paced = Pace(MemoryQuota(Limits(60, 3000, 2.0, use=1.0)), tokens_of, queue, rng=random.Random(1), room=room)
        policies: list[Policy] = [Retry(rng=random.Random(2)), paced, *([room] if room else [])]
        replies = await play(stack(provider, *([Deadline()] if deadlines else []), *policies), visits)

        assert all(at <= call.deadline for at, _, call in provider.sent)
        assert all(isinstance(reply, str | RushhourError | asyncio.CancelledError) for reply in replies)
        assert paced.waiting() == 0

    run_virtual(scene())


@settings(max_examples=60, deadline=None)
@given(visits_of_all_kinds, st.sampled_from([1.0, 10.0]), st.integers(0, 2**16))
def test_the_whole_burst_is_there_after_a_rest(visits: list[Visit], burst_s: float, seed: int) -> None:
    """What was taken and not sent came back, what was sent is paid off: afterwards exactly the burst goes at once."""

    async def scene() -> None:
        provider = Provider()
        paced = Pace(MemoryQuota(Limits(240, None, burst_s, use=1.0)), rng=random.Random(seed))
        asked = stack(provider, Retry(rng=random.Random(seed)), paced)
        await play(asked, visits)
        await asyncio.sleep(1000.0)
        before = len(provider.sent)
        now = asyncio.get_running_loop().time()
        await play(asked, [Visit(0.0, 0.0) for _ in range(int(4 * burst_s) + 1)])

        at_once = [at for at, _, _ in provider.sent[before:] if at == now]
        assert len(at_once) == int(4 * burst_s)
        assert provider.sent[-1][0] == pytest.approx(now + 0.25, abs=0.01)

    run_virtual(scene())


as_turns_come = st.integers(0, 12).map(lambda n: n * 0.25 + 5e-10)
"""Turns come every quarter of a second; this much later is the same pass of the loop, after the turn was given."""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            Visit,
            gap=st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0]),
            tokens=st.just(0.0),
            tenant=tenants,
            leaves_after=st.one_of(st.none(), as_turns_come),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([None, 50]),
)
def test_nobody_waits_while_the_limit_has_room(visits: list[Visit], permits: int | None) -> None:
    """Whoever did not go at once went when the bucket allowed it, though others left as their turns came."""
    rate, burst = 4.0, 2.0

    async def scene() -> None:
        provider = Provider(seconds=0.0)
        room = Concurrency(permits) if permits else None
        paced = Pace(MemoryQuota(Limits(rate * 60, None, burst / rate, use=1.0)), rng=random.Random(1), room=room)
        arrived: dict[int, float] = {}

        async def note(visit: Visit, call: Call, inner: Hop[Any, Any]) -> Any:
            arrived[id(visit)] = asyncio.get_running_loop().time()
            return await inner(visit, call)

        await play(stack(provider, note, paced, *([room] if room else [])), visits)  # type: ignore[arg-type]  # a function is a policy too
        times = [at for at, _, _ in provider.sent]
        for last, (at, visit, _) in enumerate(provider.sent):
            if at > arrived[id(visit)]:
                busy = max(last - first + 1 - rate * (at - times[first]) for first in range(last + 1))
                assert busy >= burst - rate * 0.002
        assert room is None or (room.in_flight, room.reserved) == (0, 0)

    run_virtual(scene())


@dataclass(frozen=True)
class Crowd:
    """One tenant's calls: (seconds after the last, tokens) each; `weight` is its share."""

    weight: float
    calls: list[tuple[float, float]]


crowds = st.builds(
    Crowd,
    st.sampled_from([0.5, 1.0, 1.0, 3.0]),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 1.0, 5.0]), st.sampled_from([20.0, 50.0, 200.0])), min_size=1, max_size=10
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(crowds, min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 3.0]), st.booleans())
def test_no_tenant_waits_longer_than_its_fair_share_explains(
    others: list[Crowd], weight: float, through_room: bool
) -> None:
    """However one tenant floods, each call goes by the time it would at its tenant's share of the rate alone.

    That is the expected arrival time of fair queueing (Goyal, Vin, Cheng 1996, theorem 4), plus one call of each
    tenant, plus the one that went at once when nobody waited.
    """
    rate, flood = 100.0, "a flood"
    everybody = {flood: Crowd(weight, [(0.0, 100.0)] * 80)} | {f"tenant {n}": crowd for n, crowd in enumerate(others)}
    weights = {name: crowd.weight for name, crowd in everybody.items()}

    async def scene() -> None:
        provider = Provider(seconds=0.0)
        room = Concurrency(1000) if through_room else None
        quota = MemoryQuota(Limits(None, rate * 60, burst_s=0.01, use=1.0))
        paced = Pace(quota, tokens_of, FairQueue(weights), PaceSettings(), random.Random(1), room)
        asked = stack(provider, paced, *([room] if room else []))
        arrived: dict[int, float] = {}

        async def come(name: str, crowd: Crowd) -> None:
            pending = []
            for gap, tokens in crowd.calls:
                await asyncio.sleep(gap)
                visit = Visit(0.0, tokens, name)
                arrived[id(visit)] = asyncio.get_running_loop().time()
                pending.append((visit, asyncio.ensure_future(asked(visit, Call(name)))))
            await asyncio.gather(*(calling for _, calling in pending))

        await asyncio.gather(*(come(name, crowd) for name, crowd in everybody.items()))
        for name, crowd in everybody.items():
            share = rate * crowd.weight / sum(weights.values())
            largest = [max(tokens for _, tokens in other.calls) for other in everybody.values()]
            residue = (sum(largest) + max(largest)) / rate
            expected = 0.0
            for at, visit, _ in provider.sent:
                if visit.tenant == name:
                    expected = max(expected, arrived[id(visit)])
                    assert at <= expected + residue + 0.25
                    expected += visit.tokens / share

    run_virtual(scene())


async def test_the_flood_is_what_waits() -> None:
    """The same in figures: with 900 of 1,000 calls from one tenant, the others are served as if it were not there."""
    waits: dict[bool, list[float]] = {}
    for flooded in (False, True):
        provider = Provider(seconds=0.0)
        asked = stack(provider, Pace(MemoryQuota(Limits(6000, None, 0.1, use=1.0))))
        begun = asyncio.get_running_loop().time()
        flood = [asyncio.ensure_future(asked(Visit(0.0, 0.0, "flood"), Call("flood"))) for _ in range(900 * flooded)]
        others = [
            asyncio.ensure_future(asked(Visit(0.0, 0.0, f"tenant {n % 10}"), Call(f"tenant {n % 10}")))
            for n in range(100)
        ]
        await asyncio.gather(*flood, *others)
        waits[flooded] = sorted(at - begun for at, visit, _ in provider.sent if visit.tenant != "flood")

    assert waits[True][95] <= 1.15 * waits[False][95] + 0.1


async def test_refusals_keep_the_queue_honest_under_any_overload() -> None:
    """Ten times too many for a minute: the limit is used up, who cannot be served is told at once, few wait in vain.

    Those few were overtaken by later calls of tenants that had fewer waiting: fair turns cannot be foretold.
    """
    provider, loop = Provider(seconds=0.0), asyncio.get_running_loop()
    paced = Pace(MemoryQuota(Limits(600, None, 1.0, use=1.0)), rng=random.Random(5))
    told: list[float] = []

    async def one(n: int) -> str:
        begun = loop.time()
        try:
            await stack(provider, Deadline(), paced)(Visit(0.0, 0.0), Call(f"tenant {n % 7}", begun + 5.0))
        except Refusal:
            told.append(loop.time() - begun)
            return "refused"
        except DeadlineExceeded:
            return "late"
        return "served"

    pending = []
    for n in range(6000):
        pending.append(asyncio.ensure_future(one(n)))
        await asyncio.sleep(0.01)
    outcomes = await asyncio.gather(*pending)

    assert outcomes.count("served") >= 0.99 * (600 + 50)
    assert outcomes.count("late") <= 0.15 * outcomes.count("served")
    assert max(told) == 0
