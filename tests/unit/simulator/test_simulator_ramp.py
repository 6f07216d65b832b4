"""The ramp limiter: traffic may be large, but may not grow steeply. Pure arithmetic, then through the API."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.simulator.limiter import RateLimiter
from rushhour.simulator.ramp import Ramp, RampSpec
from rushhour.simulator.refusals import SlowDown


def _spend(ramp: Ramp, per_minute: float, begin: int, seconds: int) -> float:
    """Ask each second for a sixtieth of a rate; return the share that was let through."""
    passed = 0
    for second in range(begin, begin + seconds):
        if ramp.fits(per_minute / 60, second):
            ramp.take(per_minute / 60, second)
            passed += 1
    return passed / seconds


def test_below_the_floor_nothing_is_too_steep() -> None:
    """From nothing to the floor within a second."""
    assert _spend(Ramp(1_000_000, 0.5, 900), 1_000_000, 0, 600) == 1.0


def test_double_the_floor_at_once_is_too_steep() -> None:
    """About half of it passes in the first minutes."""
    assert _spend(Ramp(1_000_000, 0.5, 900), 2_000_000, 0, 120) == pytest.approx(0.52, abs=0.04)


def test_half_more_after_a_quarter_of_an_hour_is_allowed() -> None:
    """At the floor for 15 minutes, then 50 % more; 50 % more again only after another 15."""
    ramp = Ramp(1_000_000, 0.5, 900)
    _spend(ramp, 1_000_000, 0, 960)

    assert _spend(ramp, 1_480_000, 960, 120) == 1.0
    assert _spend(ramp, 2_250_000, 1_080, 60) < 0.9
    assert _spend(ramp, 1_480_000, 1_140, 900) == 1.0
    assert _spend(ramp, 2_100_000, 2_100, 120) == 1.0


def test_a_quiet_night_takes_the_level_back() -> None:
    """After hours of silence the floor is all that is allowed."""
    ramp = Ramp(1_000, 0.5, 900)
    _spend(ramp, 1_000, 0, 4_000)
    high = ramp.level(4_000)

    assert high == pytest.approx(1_500, rel=0.02)
    assert ramp.level(4_000 + 36_000) == 1_000


def test_a_first_call_passes_however_large() -> None:
    """Else a call larger than the floor never could."""
    assert Ramp(100, 0.5, 900).fits(5_000, 0)


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 400)), min_size=1, max_size=60),
    growth=st.floats(0.1, 2),
)
def test_whoever_waits_as_told_soon_passes(calls: list[tuple[float, int]], growth: float) -> None:
    """The wait frees what the call needs; where the level fell meanwhile, another wait does."""
    ramp, now = Ramp(1_000, growth, 900), 0.0
    for gap, cost in calls:
        now += gap
        waits = 0
        while not ramp.fits(cost, now):
            wait = ramp.wait(cost, now)
            assert 0 < wait <= 60
            now += wait
            waits += 1
            assert waits <= 3
        ramp.take(cost, now)


def test_a_steep_call_is_debited_nowhere() -> None:
    """Requests and tokens remain as they were."""
    limiter = RateLimiter(10_000, 10_000_000, ramp=RampSpec(above_tpm=1_000))
    assert limiter.admit(1_000, now=0.0) is None
    before = limiter.headers(now=0.0)

    refusal = limiter.admit(10, now=0.0)

    assert isinstance(refusal, SlowDown)
    assert refusal.wait == 60
    assert limiter.headers(now=0.0) == before
    assert limiter.admit(10, now=60.0) is None


def test_the_ramp_goes_by_the_tokens_of_the_prompt() -> None:
    """A large max_tokens is charged, but is no input."""
    limiter = RateLimiter(10_000, 10_000_000, ramp=RampSpec(above_tpm=1_000))

    assert [limiter.admit(5_000, 0.0, tokens_in=10) for _ in range(50)] == [None] * 50


async def test_slow_down_is_a_429_inside_rpm_and_tpm(simulated: Callable[..., Any]) -> None:
    """Its own type and code; obeyed, it passes."""
    client = simulated(embeddings={"rpm": 10_000, "tpm": 10_000_000, "ramp": {"above_rpm": 5}})
    replies = [await client.embed() for _ in range(6)]

    error = msgspec.json.decode(replies[-1].body)["error"]
    await asyncio.sleep(int(replies[-1].headers["retry-after"]))

    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert (error["type"], error["code"]) == ("rate_limit_error", "slow_down")
    assert int(replies[-1].headers["x-ratelimit-remaining-requests"]) > 9_000
    assert (await client.embed()).status == 200
