"""Replicas that share a limit, on virtual time and a fake Redis."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushhour.errors import Throttled
from rushhour.flow.allowance import Allowance, LimitHeaders
from rushhour.flow.call import Call, Event, Lane, stack
from rushhour.flow.ledger.contract import Cost, Mark
from rushhour.flow.ledger.lease_call import LEASE_S, LIVING_S
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.redis_ledger import LedgerBack, LedgerLost, RedisLedger
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.pace import Pace, PaceSettings
from rushhour.testing import Scripted, run_virtual

SHARED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fullest(sent: list[tuple[float, float]], rate: float) -> float:
    """Most seconds of the limit that a bucket ever held of what was sent: (time, units)."""
    tat, worst = float("-inf"), 0.0
    for at, units in sorted(sent):
        tat = max(tat, at) + units / rate
        worst = max(worst, tat - at)
    return worst


class Replica:
    """One process: a ledger and a paced hop."""

    def __init__(self, ledger: RedisLedger, limits: Limits, tokens: float = 0.0) -> None:
        self.ledger = ledger
        self.quota = ledger.quota("chat", limits)
        self.hop = Scripted("ok", forever=True)
        settings = PaceSettings(gate_jitter=0.0, max_waiting=100_000)
        self.paced = Pace(self.quota, lambda request: Cost(1, request or tokens), settings=settings)
        self.asked = stack(self.hop, self.paced)

    def send(self, count: int, tokens: float = 0.0, lane: Lane = Lane.INTERACTIVE) -> list[asyncio.Future[Any]]:
        """Send so many calls at once."""
        return [asyncio.ensure_future(self.asked(tokens, Call(lane=lane))) for _ in range(count)]

    @property
    def sent(self) -> list[tuple[float, float]]:
        """When what left."""
        return [(at, 1.0) for at in self.hop.asked_at]


async def replicas(server: Any, count: int, limits: Limits, watch: Any = None) -> list[Replica]:
    """Several processes on one server."""
    more = {"watch": watch} if watch else {}
    return [Replica(await server.ledger(f"replica-{n}", **more), limits) for n in range(count)]


async def leave(group: Sequence[Replica], tasks: Sequence[asyncio.Future[Any]] = ()) -> None:
    """Cancel what still waits, and close these ledgers."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(replica.ledger.aclose() for replica in group))


async def end(group: Sequence[Replica], tasks: Sequence[asyncio.Future[Any]] = ()) -> None:
    """Close the last ledgers; no task may be left."""
    await leave(group, tasks)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_rule_10_replicas_use_the_whole_limit_and_no_more(fake_redis: ModuleType) -> None:
    """Four replicas under full load: 20 seconds at 50/s, all slots used, the bucket never too full, few round trips."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 4, Limits(3000, None, burst_s=1, use=1.0))
    began = asyncio.get_running_loop().time()
    tasks = [task for replica in group for task in replica.send(1000)]

    await asyncio.sleep(20)

    sent = [one for replica in group for one in replica.sent]
    assert fullest(sent, 50) <= 1.0
    assert 0.99 * 20 * 50 <= len([at for at, _ in sent if at - began <= 20]) <= 21 * 50
    assert min(len(replica.sent) for replica in group) > 0.9 * 250
    assert sum(replica.ledger.round_trips for replica in group) < len(sent) / 10
    await end(group, tasks)


@pytest.mark.parametrize(("pause", "fewest", "most"), [(0.8, 40, 40), (0.05, 1, 20)])
async def test_more_is_leased_ahead_only_where_it_will_be_used(
    fake_redis: ModuleType, pause: float, fewest: int, most: int
) -> None:
    """Where calls are rare, a slot leased for the next one would have passed by then, unused by anybody."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 1, Limits(3000, None, burst_s=1, use=1.0))
    for _ in range(40):
        await asyncio.gather(*group[0].send(1))
        await asyncio.sleep(pause)

    assert fewest <= group[0].quota.leases <= most
    await end(group)


@SHARED
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 4),
    rpm=st.sampled_from([30.0, 600.0, 6000.0]),
    tpm=st.sampled_from([None, 6_000.0, 100_000.0]),
    burst_s=st.sampled_from([0.1, 1.0, 10.0]),
    latency=st.sampled_from([0.0001, 0.002, 0.02]),
    returns=st.booleans(),
)
def test_over_any_window_all_replicas_stay_within_the_limit(
    fake_redis: ModuleType,
    seed: int,
    count: int,
    rpm: float,
    tpm: float | None,
    burst_s: float,
    latency: float,
    returns: bool,
) -> None:
    """Random loads and callers who leave: never above burst + rate·w, or one call where that is more than the burst.

    The slack is what is unknown of the server's clock, a round trip, and what timers need. A lease more, which is half
    a second's worth or one call, where a call fills a bucket by itself (small calls before it may have gone late), and
    where leases went back while others' places lay behind them.
    """
    drawn = random.Random(seed)

    async def scene() -> None:
        server = fake_redis.FakeRedis(latency)
        group = [Replica(await server.ledger(f"replica-{n}"), Limits(rpm, tpm, burst_s, use=1.0)) for n in range(count)]
        if not returns:
            for replica in group:
                setattr(replica.quota, "_tidy", lambda: None)  # noqa: B010  # mypy forbids to assign a method
        tasks: list[asyncio.Future[Any]] = []
        for _ in range(60):
            tokens = drawn.choice([10.0, 100.0, 700.0])
            tasks += drawn.choice(group).send(drawn.choice([1, 1, 3, 20]), tokens)
            if drawn.random() < 0.1:
                tasks[drawn.randrange(len(tasks))].cancel()
            await asyncio.sleep(drawn.expovariate(10))
        sent = [at for replica in group for at in replica.hop.asked_at]
        tokens_sent = [
            (at, tokens)
            for replica in group
            for at, tokens in zip(replica.hop.asked_at, replica.hop.requests, strict=True)
        ]
        await end(group, tasks)
        assert fullest([(at, 1.0) for at in sent], rpm / 60) <= bound(60 / rpm)
        if tpm:
            assert fullest(tokens_sent, tpm / 60) <= bound(700 * 60 / tpm)

    def bound(call_s: float) -> float:
        exact = not returns and call_s <= burst_s / 2
        return max(burst_s, call_s) + 2 * latency + (0.001 if exact else max(LEASE_S, call_s))

    run_virtual(scene())


@pytest.mark.parametrize("seed", [1, 3, 4])
async def test_replicas_whose_calls_wait_get_equal_shares(fake_redis: ModuleType, seed: int) -> None:
    """Whoever was first in a rush does not keep a second place in the round, though tokens are limited too."""
    dice = random.Random(seed)
    group = await replicas(fake_redis.FakeRedis(), 4, Limits(3000, 30_000_000, burst_s=1.0, use=1.0))
    tasks: list[asyncio.Future[Any]] = []

    async def arrive() -> None:
        while True:
            await asyncio.sleep(dice.expovariate(160))
            tasks.extend(dice.choice(group).send(1, tokens=1_000.0))

    arriving = asyncio.ensure_future(arrive())
    await asyncio.sleep(20)
    sent = [len(replica.sent) for replica in group]

    await asyncio.sleep(20)

    shares = [len(replica.sent) - before for replica, before in zip(group, sent, strict=True)]
    assert sum(shares) == pytest.approx(1000, rel=0.02)
    assert max(shares) <= 1.1 * min(shares)
    await end(group, [arriving, *tasks])


async def test_an_unused_lease_goes_back(fake_redis: ModuleType) -> None:
    """Half a second after the last demand, others can have it: the shared place is where the calls sent have put it."""
    server = fake_redis.FakeRedis()
    one, two = await replicas(server, 2, Limits(60, None, burst_s=60, use=1.0))
    tasks = one.send(70)
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(2 * LEASE_S + 0.1)

    sent = len(one.sent)
    state = server.lua.state["{test}:quota:chat"]
    assert one.quota.held() == 0
    assert state["requests"] - server.now() == pytest.approx(sent - asyncio.get_running_loop().time(), abs=1.0)
    await end([one, two], tasks)


async def test_closing_returns_what_is_held(fake_redis: ModuleType) -> None:
    """A replica that ends leaves nothing debited that it did not send, and is no longer counted."""
    server = fake_redis.FakeRedis()
    one, two = await replicas(server, 2, Limits(60, None, burst_s=60, use=1.0))
    tasks = one.send(20)
    await asyncio.sleep(0.01)
    await one.ledger.aclose()

    state = server.lua.state["{test}:quota:chat"]
    assert state["requests"] - server.now() == pytest.approx(len(one.sent), abs=0.1)
    assert list(server.lua.seen["{test}:replicas"]) == ["replica-1"]
    for task in tasks:
        task.cancel()
    await end([two], tasks)


async def test_a_429_of_one_replica_stops_the_others(fake_redis: ModuleType) -> None:
    """They hear it with their next lease, and nobody has burst credit when the gate opens."""
    server = fake_redis.FakeRedis()
    one, two = await replicas(server, 2, Limits(600, None, burst_s=30, use=1.0))
    one.hop = Scripted(Throttled(retry_after=5), "ok", forever=True)
    with pytest.raises(Throttled):
        await stack(one.hop, one.paced)(None, Call())
    await asyncio.sleep(0.1)

    tasks = two.send(40)
    await asyncio.sleep(8)

    assert min(two.hop.asked_at) >= 5
    assert len(two.sent) == pytest.approx((8.1 - 5) * 10, abs=2)
    await end([one, two], tasks)


async def test_rule_10_redis_lost_means_an_equal_share_within_a_tenth_of_a_second(fake_redis: ModuleType) -> None:
    """Four replicas whose Redis falls silent go on at a quarter of the limit each, without burst and without errors."""
    seen: list[Event] = []
    server = fake_redis.FakeRedis()
    loop = asyncio.get_running_loop()
    group = await replicas(server, 4, Limits(600, None, burst_s=60, use=1.0), seen.append)
    await asyncio.sleep(3)  # everybody has heard of everybody
    tasks = [task for replica in group for task in replica.send(200)]
    await asyncio.sleep(0.5)
    server.silent = True
    lost_at = loop.time()
    before = sum(len(replica.sent) for replica in group)

    tasks += [task for replica in group for task in replica.send(300)]
    await asyncio.sleep(20)

    lost = [event for event in seen if isinstance(event, LedgerLost)]
    assert [event.replicas for event in lost] == [4] * 4
    after = sorted(at for replica in group for at in replica.hop.asked_at if at > lost_at + 1.5)
    assert len(after) == pytest.approx(10 * 18.5, rel=0.03)
    assert fullest([(at, 1.0) for at in after], 10) <= 0.6
    assert before > 500
    await end(group, tasks)


async def test_lost_within_100_ms_of_the_first_call_without_an_answer(fake_redis: ModuleType) -> None:
    """A call that comes when Redis has fallen silent is on its way by this replica's own bucket, not hung."""
    seen: list[tuple[float, Event]] = []
    loop = asyncio.get_running_loop()
    server = fake_redis.FakeRedis()
    (one,) = await replicas(server, 1, Limits(60_000, None, burst_s=1), lambda event: seen.append((loop.time(), event)))
    server.silent = True
    began = loop.time()

    await one.asked(None, Call())

    assert one.sent[0][0] - began <= 0.2
    assert [at - began <= 0.1 for at, event in seen if isinstance(event, LedgerLost)] == [True]
    await end([one])


async def test_a_lost_redis_costs_nothing_a_call(fake_redis: ModuleType) -> None:
    """While the circuit is open no call is tried on it."""
    server = fake_redis.FakeRedis()
    (one,) = await replicas(server, 1, Limits(6000, None, burst_s=1))
    server.silent = True
    await asyncio.gather(*one.send(50))
    trips = one.ledger.round_trips

    await asyncio.gather(*one.send(500))

    assert one.ledger.round_trips == trips
    await end([one])


@pytest.mark.parametrize("forgets", [True, False])
async def test_redis_back_means_shared_again_without_a_second_burst(fake_redis: ModuleType, forgets: bool) -> None:
    """After ten seconds without Redis, restarted empty or not, all together stay within bucket and rate."""
    seen: list[Event] = []
    server = fake_redis.FakeRedis()
    group = await replicas(server, 4, Limits(600, None, burst_s=10, use=1.0), seen.append)
    await asyncio.sleep(3)
    tasks = [task for replica in group for task in replica.send(400)]
    await asyncio.sleep(5)
    server.up = False
    await asyncio.sleep(10)
    if forgets:
        server.restart_empty()
    server.up = True
    back_at = asyncio.get_running_loop().time()
    await asyncio.sleep(20)

    sent = [one for replica in group for one in replica.sent]
    assert len([event for event in seen if isinstance(event, LedgerBack)]) == 4
    assert fullest(sent, 10) <= 10 + 0.6
    late = [at for at, _ in sent if at > back_at + 3]
    assert len(late) == pytest.approx(170, rel=0.04)
    await end(group, tasks)


async def test_what_a_cut_off_replica_spent_is_debited_when_it_is_back(fake_redis: ModuleType) -> None:
    """One of two loses Redis for 20 seconds and spends its half; the other was not told, so both pay for it then."""
    server = fake_redis.FakeRedis()
    limits = Limits(600, None, burst_s=60, use=1.0)
    one, two = await replicas(server, 2, limits)
    await asyncio.sleep(3)
    await asyncio.gather(*two.send(200))
    server.cut_off.add("replica-0")
    tasks = one.send(101)
    await asyncio.sleep(10)
    await asyncio.gather(*two.send(1))  # somebody is connected: what refills is no secret
    await asyncio.sleep(10)
    level = server.lua.state["{test}:quota:chat"]["requests"]
    spent = len(one.sent)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    await asyncio.gather(*two.send(1))
    server.cut_off.clear()
    await asyncio.sleep(2)

    debited = server.lua.state["{test}:quota:chat"]["requests"] - max(level, server.now() - 2)
    assert spent == pytest.approx(100, abs=2)
    assert debited == pytest.approx(spent / 10, rel=0.1)
    await end([one, two])


async def test_down_at_the_start_is_a_fallback(fake_redis: ModuleType) -> None:
    """The expected number of replicas is assumed; the quota works, and shares as soon as Redis is there."""
    seen: list[Event] = []
    server = fake_redis.FakeRedis()
    server.up = False
    one = Replica(await server.ledger("one", expected=4, watch=seen.append), Limits(600, None, burst_s=10, use=1.0))
    tasks = one.send(200)
    await asyncio.sleep(10)

    assert [event.replicas for event in seen if isinstance(event, LedgerLost)] == [4]
    assert len(one.sent) == pytest.approx(25, abs=2)
    server.up = True
    await asyncio.sleep(10)
    assert len(one.sent) > 100
    await end([one], tasks)


async def test_rule_07_what_a_killed_replica_held_expires(fake_redis: ModuleType) -> None:
    """One of two dies with a lease unspent and never says so: seconds later the other has the whole limit."""
    server = fake_redis.FakeRedis()
    killed, other = await replicas(server, 2, Limits(600, None, burst_s=1, use=1.0))
    tasks = [*killed.send(1000), *other.send(1000)]
    await asyncio.sleep(5)
    shared = len(other.sent)
    assert shared == pytest.approx(5 * 10 / 2, abs=10)

    server.cut_off.add("replica-0")
    await leave([killed], tasks[:1000])
    await asyncio.sleep(LIVING_S)
    before = len(other.sent)
    await asyncio.sleep(10)

    assert len(other.sent) - before == pytest.approx(100, abs=2)
    assert fullest([*killed.sent, *other.sent], 10) <= 1.0
    await end([other], tasks[1000:])


async def test_what_the_provider_says_is_left_lowers_the_shared_level(fake_redis: ModuleType) -> None:
    """Somebody else uses the account: `remaining` told to one replica holds for the other too."""
    server = fake_redis.FakeRedis()
    one, two = await replicas(server, 2, Limits(600, None, burst_s=60, use=1.0))
    await one.asked(None, Call())
    now = asyncio.get_running_loop().time()
    told = LimitHeaders(requests=Allowance(limit=600, remaining=5, reset_s=59.5))
    one.quota.learn(told, one.quota.mark(now), now)
    await asyncio.sleep(LEASE_S)
    await one.asked(None, Call())

    tasks = two.send(100)
    await asyncio.sleep(1)

    assert len(two.sent) <= 5 + 0.6 * 10 + 10
    await end([one, two], tasks)


async def test_older_news_and_other_limits_are_not_believed(fake_redis: ModuleType) -> None:
    """A slower reply, or one about another limit, changes nothing."""
    server = fake_redis.FakeRedis()
    (one,) = await replicas(server, 1, Limits(600, None, burst_s=60, use=1.0))
    await asyncio.sleep(1)
    now = asyncio.get_running_loop().time()
    one.quota.learn(LimitHeaders(requests=Allowance(limit=50, remaining=0)), Mark(now, 0, 0), now)
    one.quota.learn(LimitHeaders(requests=Allowance(limit=600, remaining=0)), Mark(now - 0.5, 0, 0), now)

    tasks = one.send(500)
    await asyncio.sleep(0.5)

    assert len(one.sent) == 500
    await end([one], tasks)


async def test_predictions_know_that_others_take_their_part(fake_redis: ModuleType) -> None:
    """Under four replicas' full load a call costs about four times as much as alone; alone it costs its own time."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 4, Limits(600, None, burst_s=1, use=1.0))
    assert group[0].quota.price(Cost(1)) == pytest.approx(0.1)
    assert group[0].quota.sharing(Cost(1)) == 1
    tasks = [task for replica in group for task in replica.send(400)]
    await asyncio.sleep(10)

    assert group[0].quota.sharing(Cost(1)) == pytest.approx(4, rel=0.2)
    await leave(group[1:], tasks)
    tasks = group[0].send(100)
    await asyncio.sleep(8)
    assert group[0].quota.sharing(Cost(1)) == pytest.approx(1, rel=0.1)
    assert group[0].quota.price(Cost(1)) == pytest.approx(0.1)
    await end(group[:1], tasks)


async def _promise(replica: Replica, count: int, held: ExitStack) -> None:
    """Let so many in that will join the queue later, one in a millisecond."""
    for _ in range(count):
        held.enter_context(replica.paced.promise(Cost(), Call()))
        await asyncio.sleep(0.001)


async def test_replicas_know_at_once_what_was_promised_at_the_others(fake_redis: ModuleType) -> None:
    """In a sudden rush nobody waits yet, and still every door predicts the wait behind all of them."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 4, Limits(600, None, burst_s=1, use=1.0))
    loop = asyncio.get_running_loop()
    with ExitStack() as held:
        await asyncio.gather(*(_promise(replica, 100, held) for replica in group))
        now = loop.time()
        predicted = [replica.paced.predict(Cost(), Call(), now) for replica in group]
        assert predicted == pytest.approx([4 * 100 * 0.1] * 4, rel=0.15)
    await asyncio.sleep(3)

    assert [replica.paced.predict(Cost(), Call(), loop.time()) for replica in group] == [0] * 4
    assert server.leases < 4 * 60
    await end(group)


async def test_turns_are_as_long_as_queues_are(fake_redis: ModuleType) -> None:
    """Four times as much waits at one replica: it sends four times as often, and both are done together."""
    server = fake_redis.FakeRedis()
    long, short = group = await replicas(server, 2, Limits(600, None, burst_s=1, use=1.0))
    tasks = [*long.send(160), *short.send(40)]
    await asyncio.gather(*tasks)

    ends = [max(at for at, _ in replica.sent) for replica in group]
    assert max(ends) == pytest.approx(200 / 10, rel=0.1)
    assert min(ends) >= max(ends) - 2.5
    await end(group)


async def test_a_turn_of_one_call_takes_no_more_of_what_is_plentiful(fake_redis: ModuleType) -> None:
    """Where a call is a long time of the scarce limit, it is not leased as much of the other, to pass unused."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 4, Limits(120, 10_000_000, burst_s=1, use=1.0))
    tasks = []
    for n in range(60):
        tasks += group[n * 7 % 4].send(1, 2_000 + 10 * n)
        await asyncio.sleep(0.1)
    await asyncio.gather(*tasks)

    assert max(at for replica in group for at, _ in replica.sent) <= 1.16 * 60 / 2
    await end(group)


async def test_people_do_not_wait_for_the_background_of_another_replica(fake_redis: ModuleType) -> None:
    """However much an ingestion has waiting elsewhere: it goes on, but what people wait for decides the turns."""
    server = fake_redis.FakeRedis()
    ingesting, serving = group = await replicas(server, 2, Limits(600, None, burst_s=1, use=1.0))
    background = ingesting.send(300, lane=Lane.BACKGROUND)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(3)
    begun, before = loop.time(), len(ingesting.sent)
    predicted = serving.paced.predict(Cost(), Call(), begun)

    await asyncio.gather(*serving.send(20))

    assert predicted <= 1
    assert loop.time() - begun <= 5
    assert len(ingesting.sent) > before
    await end(group, background)


async def test_a_turn_is_a_whole_number_of_calls(fake_redis: ModuleType) -> None:
    """With one or two calls a turn, the rest of one would pass unused, and with it a fifth of the limit."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 8, Limits(500, None, burst_s=1, use=1.0))
    tasks = [
        task
        for replica, count in zip(group, (40, 35, 30, 25, 20, 15, 10, 5), strict=True)
        for task in replica.send(count)
    ]
    await asyncio.gather(*tasks)

    assert max(at for replica in group for at, _ in replica.sent) <= 1.08 * 180 * 60 / 500
    await end(group)


async def test_a_short_queue_waits_as_long_as_a_long_one_beside_it(fake_redis: ModuleType) -> None:
    """Turns are as long as queues are, so whoever came first goes first; with next to nothing, a turn is a call."""
    server = fake_redis.FakeRedis()
    long, short, idle = group = await replicas(server, 3, Limits(600, None, burst_s=1, use=1.0))
    with ExitStack() as held:
        await asyncio.gather(_promise(long, 200, held), _promise(short, 20, held))
        await _promise(idle, 4, held)
        await asyncio.sleep(0.5)
        await _promise(long, 1, held)
        await _promise(short, 1, held)
        await _promise(idle, 1, held)
        await asyncio.sleep(0.1)

        sharing = [replica.quota.sharing(Cost()) for replica in group]

    assert sharing == pytest.approx([1 + 24 / 200, 1 + 204 / 20, 1 + 220 / 4], rel=0.2)
    await asyncio.sleep(3)
    await end(group)


async def test_who_is_sent_away_comes_back_as_fast_as_his_part_of_all(fake_redis: ModuleType) -> None:
    """Twice as many are sent away here as there, so they come back in two thirds of the limit, and there in one."""
    server = fake_redis.FakeRedis()
    one, two = group = await replicas(server, 2, Limits(600, None, burst_s=1, use=1.0))
    loop = asyncio.get_running_loop()
    with ExitStack() as held:
        for replica, count in ((one, 400), (two, 200)):
            for _ in range(count):
                replica.paced.advise(30.0, Cost(), Call(), loop.time())
        for replica in (one, two, one, two):
            await asyncio.sleep(0.6)
            await _promise(replica, 10, held)

        assert one.paced.booked(2) == pytest.approx(40)
        later = [replica.quota.sharing_later(Cost()) for replica in group]
        told = one.paced.advise(30.0, Cost(), Call(), loop.time())
        assert one.paced.advise(30.0, Cost(), Call(), loop.time()) == pytest.approx(told, rel=0.1)

    assert later == pytest.approx([1.5, 3], rel=0.15)
    await asyncio.sleep(3)
    await end(group)


async def test_replicas_that_send_many_away_at_once_let_them_come_back_at_the_pace_of_the_limit(
    fake_redis: ModuleType,
) -> None:
    """While each sends away more and more, what the others do is known before it has grown by much."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 8, Limits(600, None, burst_s=1, use=1.0))
    loop = asyncio.get_running_loop()
    back: list[float] = []
    for _ in range(500):
        now = loop.time()
        back += [now + replica.paced.advise(30.0, Cost(), Call(), now) for replica in group]
        await asyncio.sleep(0.004)
    in_time = sum(at < min(back) + 200 for at in back)

    assert 200 * 10 * 0.85 <= in_time <= 200 * 10 * 1.03
    assert server.leases < 8 * 100
    await end(group)


async def test_where_permits_are_scarcer_than_the_limit_nobody_is_told(fake_redis: ModuleType) -> None:
    """A queue for permits takes nothing from the others' part of the limit."""
    server = fake_redis.FakeRedis()
    one, two = group = await replicas(server, 2, Limits(600, None, burst_s=1, use=1.0))
    room = Concurrency(1)
    slow = Pace(one.quota, room=room)
    work = stack(Scripted("ok", seconds=5.0, forever=True), slow, room)
    await work(0, Call())
    leases = server.leases
    with ExitStack() as held:
        for _ in range(50):
            held.enter_context(slow.promise(Cost(), Call()))
        await asyncio.sleep(0.1)
        assert slow.expected(2) == 0
        assert server.leases == leases
        assert two.quota.sharing(Cost()) == 1
    await end(group)


async def test_a_token_price_of_more_than_the_bucket_still_goes(fake_redis: ModuleType) -> None:
    """A call larger than the burst goes alone when the bucket is full, and is waited for by whoever comes next."""
    server = fake_redis.FakeRedis()
    one, two = await replicas(server, 2, Limits(None, 6000, burst_s=1, use=1.0))

    await asyncio.gather(*one.send(2, tokens=500), *two.send(2, tokens=500))

    at = sorted(one.hop.asked_at + two.hop.asked_at)
    assert [later - earlier for earlier, later in itertools.pairwise(at)] == pytest.approx([5] * 3, abs=0.1)
    await end([one, two])


async def test_without_limits_nothing_is_shared_and_nothing_asked(fake_redis: ModuleType) -> None:
    """No round trip, no wait, no price, and a 429 closes only this replica's own gate."""
    server = fake_redis.FakeRedis()
    (one,) = await replicas(server, 1, Limits(None, None))
    trips = one.ledger.round_trips

    await asyncio.gather(*one.send(100, tokens=50))

    now = asyncio.get_running_loop().time()
    assert one.quota.price(Cost(1, 100)) == 0
    assert one.quota.credit(now) == float("inf")
    one.quota.throttled(one.quota.mark(now), now + 5, now)
    assert one.quota.wait(Cost(), now) == 0
    assert one.ledger.round_trips == trips
    await end([one])


@pytest.mark.parametrize("hours", [-1.0, 1.0])
async def test_a_server_clock_that_jumps_stops_nobody(fake_redis: ModuleType, hours: float) -> None:
    """Set back an hour, times kept go back with it; set forth, at worst the bucket counts as full once."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 2, Limits(600, None, burst_s=2, use=1.0))
    tasks = [task for replica in group for task in replica.send(300)]
    await asyncio.sleep(5)
    server.clock_set = hours * 3600
    jumped_at = asyncio.get_running_loop().time()
    await asyncio.sleep(10)

    after = [at for replica in group for at, _ in replica.sent if at > jumped_at]
    assert 0.9 * 100 <= len(after) <= 100 + 2 * 10 + 5
    await end(group, tasks)


async def test_idle_replicas_are_counted(fake_redis: ModuleType) -> None:
    """A replica that sends nothing beats, so that a lost Redis never lets the others take its share for nothing."""
    server = fake_redis.FakeRedis()
    group = await replicas(server, 3, Limits(600, None))

    await asyncio.sleep(30)

    assert [replica.ledger.living() for replica in group] == [3, 3, 3]
    await leave(group[2:])
    await asyncio.sleep(5)
    assert group[0].ledger.living() == 2
    await end(group[:2])


async def test_one_quota_one_pacer(fake_redis: ModuleType) -> None:
    """Two hops under one name would count each other's waiting calls as their own."""
    ledger = await fake_redis.FakeRedis().ledger()
    ledger.quota("chat", Limits(60))

    with pytest.raises(ValueError, match="'chat' is in use"):
        ledger.quota("chat", Limits(60))
    await ledger.aclose()
