"""The rate of a limit that nobody tells."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.algorithms.aimd import CUT, DEEPEST_CUT, LEAST, SPACING_S, Aimd


class HiddenBucket:
    """A provider's bucket: `rate` units a second, `depth` at most at once, told to nobody."""

    def __init__(self, rate: float, depth: float) -> None:
        self.rate, self.depth = rate, depth
        self.level, self.at = depth, 0.0

    def refill(self, now: float) -> None:
        """Bring the level up to date."""
        self.level = min(self.depth, self.level + (now - self.at) * self.rate)
        self.at = now

    def take(self, now: float) -> bool:
        """Serve one call, or refuse it."""
        self.refill(now)
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True

    def wait(self) -> float:
        """Seconds until one more call fits."""
        return max(1.0 - self.level, 0.0) / self.rate


@dataclass
class Outcome:
    """What a run came to, counted after its first part."""

    served: int = 0
    refused: int = 0
    seconds: float = 0.0
    rate: float = 0.0

    @property
    def refused_share(self) -> float:
        return self.refused / (self.served + self.refused)


def run(bucket: HiddenBucket, seconds: float, *, learned_at: float, seed: int = 1, down: float = math.inf) -> Outcome:
    """Send without end at the rate that is allowed, waiting after each 429 as advised.

    From `down` on nothing is served for a minute.
    """
    draw = random.Random(seed)
    aimd, outcome = Aimd(), Outcome(seconds=seconds - learned_at)
    flights: list[tuple[float, int, float, float | None]] = []
    now = gate = next_slot = 0.0
    order = 0
    while now < seconds:
        leaves = max(now, gate, next_slot)
        if flights and flights[0][0] <= leaves:
            now, _, left, wait = heapq.heappop(flights)
            if wait is None:
                aimd.succeeded(left, now)
            else:
                aimd.throttled(left, now)
                gate = max(gate, now + wait * draw.uniform(1.0, 1.1))
            continue
        now = leaves
        next_slot = now + 1 / (aimd.rate or 500.0)
        aimd.sent(now)
        bucket.refill(now)
        served = not down <= now < down + 60 and bucket.take(now)
        if now >= learned_at:
            outcome.served += served
            outcome.refused += not served
        order += 1
        wait = None if served else max(bucket.wait(), 0.05)
        heapq.heappush(flights, (now + 0.3 * draw.lognormvariate(0, 0.3), order, now, wait))
    outcome.rate = aimd.rate or math.inf
    return outcome


def used_to_twenty_a_second() -> Aimd:
    """Send and serve twenty calls a second, from -5 s until now, 0."""
    aimd = Aimd()
    for call in range(-100, 0):
        aimd.sent(call / 20)
        aimd.succeeded(call / 20, call / 20)
    return aimd


def test_there_is_no_limit_before_the_first_429() -> None:
    """Nothing is slowed on suspicion."""
    aimd = Aimd()
    for moment in range(100):
        aimd.sent(moment / 10)
        aimd.succeeded(moment / 10, moment / 10)
    assert aimd.rate is None


def test_the_first_429_starts_from_the_rate_of_late() -> None:
    """Twenty calls a second were too many: nine tenths of what was served is where to begin."""
    aimd = used_to_twenty_a_second()
    aimd.throttled(-0.1, 0.0)
    assert aimd.rate == pytest.approx(20 * CUT, rel=0.05)


def test_one_congestion_is_one_decrease() -> None:
    """Every call in flight meets a 429; only one of them counts."""
    aimd = used_to_twenty_a_second()
    aimd.throttled(-0.5, 0.0)
    first = aimd.rate
    assert first is not None
    for call in range(20):
        aimd.throttled(-0.5 + call / 100, 1.5)
    assert aimd.rate == first


def test_at_most_one_decrease_a_second() -> None:
    """A call that left after the decrease may not lower the rate again at once, but a second later it may."""
    aimd = used_to_twenty_a_second()
    aimd.throttled(-0.5, 0.0)
    first = aimd.rate
    assert first is not None
    aimd.throttled(0.1, 0.2)
    assert aimd.rate == first
    aimd.throttled(0.9, 1.1)
    assert aimd.rate is not None
    assert aimd.rate < first


def test_a_rate_that_nobody_uses_does_not_grow() -> None:
    """An idle hour proves nothing about the limit."""
    aimd = used_to_twenty_a_second()
    aimd.throttled(-0.1, 0.0)
    before = aimd.rate
    assert before is not None
    for call in range(100):
        aimd.sent(100.0 + call)
        aimd.succeeded(100.0 + call, 100.5 + call)
    assert aimd.rate == before


@pytest.mark.parametrize("depth_s", [1, 60])
@pytest.mark.parametrize(("rate", "use", "refused"), [(2, 0.97, 0.04), (8.3, 0.99, 0.02), (50, 0.99, 0.011)])
def test_finds_a_hidden_bucket(rate: float, depth_s: float, use: float, refused: float) -> None:
    """Nearly all of a limit that nobody told is used, with few 429s: from 120 calls a minute to 3,000."""
    outcome = run(HiddenBucket(rate, rate * depth_s), 700, learned_at=350)
    assert outcome.served >= use * rate * outcome.seconds
    assert outcome.refused_share <= refused


def test_finds_a_limit_of_three_a_minute() -> None:
    """Small limits take longer to learn, and waste no more."""
    outcome = run(HiddenBucket(0.05, 3), 9000, learned_at=3000)
    assert outcome.served >= 0.95 * 0.05 * outcome.seconds
    assert outcome.refused_share <= 0.05


def test_recovers_from_a_minute_without_service() -> None:
    """What was known before the outage is tried again soon, not crept up to."""
    outcome = run(HiddenBucket(50, 50), 600, learned_at=500, down=400)
    assert outcome.served >= 0.95 * 50 * outcome.seconds


def test_a_lone_429_says_nothing_of_a_rate() -> None:
    """An idle hop's first call is refused: it comes back when it was told to, at no invented rate."""
    aimd = Aimd()
    aimd.sent(0.0)
    aimd.throttled(0.0, 0.2)
    assert aimd.rate is None


@pytest.mark.parametrize("aimd", [used_to_twenty_a_second(), Aimd()], ids=["later", "from the start"])
def test_a_provider_that_always_refuses_is_asked_once_a_minute(aimd: Aimd) -> None:
    """The rate falls to its floor and stays there, whether it has ever served or not."""
    for second in range(0, 600, 2):
        aimd.sent(float(second))
        aimd.throttled(float(second), second + 0.5)
    assert aimd.rate == LEAST


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0.001, 5), st.integers(0, 2), st.floats(0, 3)), max_size=60))
def test_every_step_is_bounded(history: list[tuple[float, int, float]]) -> None:
    """Whatever happens: never below the floor; only a 429 lowers, so far at most, and no more than once a second."""
    aimd, now, lowered_at = used_to_twenty_a_second(), 0.0, -math.inf
    for passed, what, ago in history:
        now += passed
        before = aimd.rate
        left = max(0.0, now - ago)
        if what == 0:
            aimd.sent(now)
        elif what == 1:
            aimd.succeeded(left, now)
        else:
            aimd.throttled(left, now)
        after = aimd.rate
        assert after is None or after >= LEAST
        if before is None or after is None or after == before:
            lowered_at = now if before is None and after is not None else lowered_at
            continue
        if after < before:
            assert what == 2
            assert left >= lowered_at
            assert now - lowered_at >= SPACING_S
            assert after >= max(before * DEEPEST_CUT, LEAST)
            lowered_at = now
        else:
            assert what == 1
            assert after <= 1.5 * before


@pytest.mark.parametrize("least", [0.0, -1.0, math.nan, math.inf])
def test_an_absurd_floor_is_refused(least: float) -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match="least rate is"):
        Aimd(least)
