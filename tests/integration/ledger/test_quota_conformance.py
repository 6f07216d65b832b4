"""One suite for every quota: in memory, and shared on a real Valkey."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rushhour.flow.allowance import Allowance, LimitHeaders
from rushhour.flow.call import Call, stack
from rushhour.flow.ledger.contract import Cost, Quota
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.memory import MemoryQuota
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.flow.ledger.redis_quota import RedisQuota
from rushhour.flow.policies.pace import Pace
from rushhour.testing import Scripted

Make = Callable[[Limits], Quota]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest, valkeys: Any) -> AsyncIterator[Make]:
    """Make quotas of either kind."""
    if request.param == "memory":
        yield MemoryQuota
        return
    ledger = await RedisLedger.open((await valkeys()).url, prefix="conformance")
    names = iter("abcdefgh")
    yield lambda limits: ledger.quota(next(names), limits)
    await ledger.aclose()


class Client:
    """Asks a quota as a pacer does, and waits only while an answer is on its way."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._woken = asyncio.Event()
        quota.attach(self)

    def serve(self) -> None:
        self._woken.set()

    def backlog(self) -> float:
        return 0.0

    def expected(self, replicas: int) -> float:
        return 0.0

    def booked(self, replicas: int) -> float:
        return 0.0

    async def wait(self, cost: Cost) -> float:
        """Return how long this cost has to wait, when the quota knows."""
        while True:
            self._woken.clear()
            seconds = self.quota.wait(cost, asyncio.get_running_loop().time())
            if not seconds or not isinstance(self.quota, RedisQuota) or not self.quota.asking():
                return seconds
            await self._woken.wait()

    async def take(self, cost: Cost, at_most: int) -> int:
        """Take as often as may be done at once."""
        for count in range(at_most):
            if await self.wait(cost):
                return count
            self.quota.take(cost, asyncio.get_running_loop().time())
        return at_most


async def test_sends_what_the_limit_allows_and_no_more(make: Make) -> None:
    """Every call is served, and no window holds more than burst + rate·w."""
    hop = Scripted("ok", forever=True)
    asked = stack(hop, Pace(make(Limits(6000, None, burst_s=0.5, use=1.0))))

    await asyncio.gather(*(asked(n, Call()) for n in range(150)))

    tat, fullest = -math.inf, 0.0
    for at in hop.asked_at:
        tat = max(tat, at) + 0.01
        fullest = max(fullest, tat - at)
    assert len(hop.asked_at) == 150
    assert fullest <= 0.5 + 0.005


async def test_the_burst_goes_at_once_and_only_once(make: Make) -> None:
    """A bucket of 20 seconds at one a second: a shared one keeps half a second back for what is on its way."""
    client = Client(make(Limits(60, None, burst_s=20, use=1.0)))

    assert await client.take(Cost(), 100) in {19, 20}
    assert await client.wait(Cost()) > 0


async def test_both_dimensions_are_debited_together(make: Make) -> None:
    """The scarcer one decides; the other is not spent for calls that did not go."""
    client = Client(make(Limits(60, 6000, burst_s=20, use=1.0)))

    assert await client.take(Cost(1, 400), 100) in {4, 5}
    assert await client.take(Cost(1, 0), 100) >= 19 - 5


async def test_a_cost_given_back_can_be_taken_again(make: Make) -> None:
    """What was not sent is there for the next."""
    quota = make(Limits(60, None, burst_s=5, use=1.0))
    client = Client(quota)
    taken = await client.take(Cost(), 100)

    quota.give_back(Cost())

    assert taken in {4, 5}
    assert await client.take(Cost(), 100) == 1


async def test_after_a_429_there_is_no_burst(make: Make) -> None:
    """The provider's bucket is empty when the gate opens: calls go one by one from then."""
    quota = make(Limits(60, None, burst_s=20, use=1.0))
    client = Client(quota)
    await client.take(Cost(), 1)
    now = asyncio.get_running_loop().time()

    quota.throttled(quota.mark(now), now + 30, now)

    assert await client.wait(Cost()) > 30
    assert quota.credit(now + 30) <= 0.01


async def test_the_provider_knows_better_when_less_is_left(make: Make) -> None:
    """`remaining` of 5 in a bucket of 60: at most that many go at once."""
    quota = make(Limits(60, None, burst_s=60, use=1.0))
    client = Client(quota)
    await client.take(Cost(), 1)
    now = asyncio.get_running_loop().time()

    quota.learn(LimitHeaders(requests=Allowance(limit=60, remaining=5, reset_s=55)), quota.mark(now), now)

    assert await client.take(Cost(), 100) <= 6


async def test_prices_are_seconds_of_the_scarcer_limit(make: Make) -> None:
    """A lone replica pays what one process pays."""
    quota = make(Limits(60, 6000, burst_s=20, use=1.0))

    assert quota.price(Cost(1, 50)) == pytest.approx(1.0)
    assert quota.price(Cost(1, 300)) == pytest.approx(3.0)
    assert quota.sharing(Cost(1, 50)) == quota.sharing(Cost(1, 300)) == 1


async def test_credit_shrinks_by_what_is_taken(make: Make) -> None:
    """In seconds of the limit, as prices are."""
    quota = make(Limits(60, None, burst_s=20, use=1.0))
    client = Client(quota)
    now = asyncio.get_running_loop().time()
    full = quota.credit(now)

    await client.take(Cost(), 10)

    assert full == pytest.approx(20, abs=0.51)
    assert full - quota.credit(now) == pytest.approx(10, abs=0.5)


async def test_a_cost_above_the_burst_goes_alone(make: Make) -> None:
    """Once, from a full bucket; the next has to wait for all of it."""
    client = Client(make(Limits(None, 6000, burst_s=1, use=1.0)))

    assert await client.take(Cost(1, 500), 3) == 1
    assert await client.wait(Cost(1, 500)) > 4


async def test_without_limits_nothing_waits(make: Make) -> None:
    """No limit: no wait, no price, endless credit."""
    quota = make(Limits(None, None))

    assert await Client(quota).take(Cost(1, 1e6), 1000) == 1000
    assert quota.price(Cost(1, 1e6)) == 0
    assert quota.sharing(Cost(1, 1e6)) == 1
    quota.coming()
    assert quota.credit(asyncio.get_running_loop().time()) == math.inf


async def test_what_was_taken_is_marked(make: Make) -> None:
    """Taken less given back, for what is learned later."""
    quota: Any = make(Limits(60, 6000, burst_s=20, use=1.0))
    await Client(quota).take(Cost(1, 100), 3)
    quota.give_back(Cost(1, 100))

    mark = quota.mark(7.0)

    assert (mark.at, mark.requests, mark.tokens) == (7.0, 2.0, 200.0)
