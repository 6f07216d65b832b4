"""Limits that nobody configured: read from what replies state, or found by trying."""

import asyncio
import math

import pytest

from rushhour.errors import Throttled
from rushhour.flow.algorithms.gcra import Gcra
from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.ledger.contract import Cost, Mark
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.memory import MemoryQuota
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry


class Provider:
    """An exact bucket of `per_minute` calls, a minute deep or as deep as told, that states its limits if it `tells`."""

    def __init__(self, per_minute: float, depth: float | None = None, *, tells: bool = True) -> None:
        self._bucket = Gcra(per_minute / 60, depth or per_minute)
        self._per_minute = per_minute
        self._tells = tells
        self.served_at: list[float] = []
        self.refused = 0

    async def __call__(self, _request: object, call: Call) -> str:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.02)
        now = loop.time()
        wait = self._bucket.wait(1, now)
        if not wait:
            self._bucket.take(1, now)
            self.served_at.append(now)
        left = max(0.0, math.floor(self._bucket.available(now)))
        await asyncio.sleep(0.2)
        if self._tells:
            reset = (self._bucket.burst - left) / self._bucket.rate
            stated = LimitHeaders(requests=Allowance(self._per_minute, left, round(reset, 3)))
            call.emit(LimitsSeen(call.hop, stated))
        if wait:
            self.refused += 1
            raise Throttled(retry_after=wait)
        return "ok"


async def crowd(provider: Provider, quota: MemoryQuota, users: int, over: float) -> list[Event]:
    """Let users come evenly within `over` seconds; every one of them must be served."""
    seen: list[Event] = []
    ask = stack(provider, Retry(), Pace(quota))

    async def user(n: int) -> None:
        await asyncio.sleep(over * n / users)
        assert await ask(n, Call(emit=seen.append)) == "ok"

    await asyncio.gather(*(user(n) for n in range(users)))
    return seen


async def test_a_limit_that_is_only_stated_is_kept_to() -> None:
    """Told 600 a minute by headers alone, 1,500 users within a second are served at that rate."""
    provider = Provider(600)

    await crowd(provider, MemoryQuota(Limits()), users=1500, over=1.0)

    drained = provider.served_at[-1] - provider.served_at[0]
    assert drained <= 1.05 * (1500 - 600) / 10
    assert provider.refused <= 0.15 * 1500  # those that left before the first reply was there


async def test_somebody_else_uses_the_account() -> None:
    """What is left according to the provider counts, not what we think we left."""
    provider = Provider(600)
    for _ in range(500):
        provider._bucket.take(1, 0.0)

    await crowd(provider, MemoryQuota(Limits(600)), users=300, over=5.0)

    assert len(provider.served_at) == 300
    assert provider.refused <= 0.15 * 300


async def test_a_lower_limit_than_configured_is_believed_once_it_is_sure() -> None:
    """The settings say 6,000 a minute, the provider 600: we end up at 600 without a flood of 429s."""
    provider = Provider(600)

    await crowd(provider, MemoryQuota(Limits(6000)), users=2000, over=30.0)

    assert provider.refused <= 0.1 * 2000


async def test_a_higher_limit_than_configured_is_left_alone() -> None:
    """Who configures a share of the account keeps to it, whatever the provider would allow."""
    provider = Provider(6000)

    await crowd(provider, MemoryQuota(Limits(600, burst_s=1)), users=100, over=0.0)

    assert provider.served_at[-1] == pytest.approx(9.0, abs=0.4)


async def test_a_limit_that_nobody_tells_is_found() -> None:
    """From 429s alone: at most a few per cent are absorbed, and the provider is kept busy."""
    provider = Provider(600, depth=10, tells=False)

    await crowd(provider, MemoryQuota(Limits()), users=3000, over=200.0)

    late = [at for at in provider.served_at if at > 60]
    assert len(late) / (10 * (late[-1] - late[0])) > 0.93
    assert provider.refused <= 0.05 * 3000


@pytest.mark.parametrize(
    "told",
    [
        Allowance(),
        Allowance(limit=0, remaining=0, reset_s=0),
        Allowance(limit=600, remaining=700, reset_s=1),
        Allowance(limit=600, remaining=-5, reset_s=1),
        Allowance(limit=600, remaining=None, reset_s=60),
        Allowance(limit=None, remaining=10, reset_s=60),
        Allowance(limit=math.inf, remaining=1, reset_s=1),
        Allowance(limit=math.nan, remaining=math.nan, reset_s=math.nan),
    ],
)
async def test_nonsense_teaches_nothing(told: Allowance) -> None:
    """Missing, contradictory and absurd statements leave the quota as it was."""
    quota = MemoryQuota(Limits())

    quota.learn(LimitHeaders(requests=told, tokens=told), Mark(0.0, 0.0, 0.0), 1.0)

    assert quota.wait(Cost(1, 1e6), 1.0) == 0.0
    assert quota.credit(1.0) == math.inf


@pytest.mark.parametrize("field", ["requests_per_minute", "tokens_per_minute", "burst_s", "use"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_absurd_limits_are_refused(field: str, value: float) -> None:
    """Zero, negative and endless limits are named with their value."""
    with pytest.raises(ValueError, match=f"{field} is"):
        Limits(**{field: value})
