"""The window of a limit, from what a provider says of it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.algorithms.window import USUAL_S, WINDOWS_S, WindowEstimate


def of_a_bucket(limit: float, window_s: float, used: float, grain_s: float = 0.001) -> tuple[float, float, float]:
    """Return what a continuous bucket at this level states."""
    return limit, limit - used, math.ceil(window_s * used / limit / grain_s) * grain_s


def test_a_minute_is_assumed() -> None:
    """Nothing was said yet."""
    assert WindowEstimate().seconds == 60


@pytest.mark.parametrize("window_s", WINDOWS_S)
def test_a_continuous_bucket_tells_its_window(window_s: float) -> None:
    """Five readings at different levels are enough."""
    estimate = WindowEstimate()
    for used in (100, 130, 160, 200, 260):
        estimate.add(*of_a_bucket(5000, window_s, used))
    assert estimate.seconds == window_s


def test_one_call_tells_too_little() -> None:
    """12 ms of a minute may as well be 11 or 13."""
    estimate = WindowEstimate()
    for _ in range(100):
        estimate.add(5000, 4999, 0.002)
    assert estimate.seconds == USUAL_S


def test_readings_at_one_level_prove_nothing() -> None:
    """A 1 s deep bucket that is stated in terms of a minute looks like a window of a second while it is empty."""
    estimate = WindowEstimate()
    for _ in range(100):
        estimate.add(60_000, 0, 0.999)
    assert estimate.seconds == USUAL_S


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 10.0, 60.0, 3600.0]), st.sampled_from([1.0, 0.001]))
def test_a_fixed_window_is_never_taken_for_another(seed: int, window_s: float, grain_s: float) -> None:
    """Its resets have nothing to do with its levels, however the load goes."""
    draw = random.Random(seed)
    estimate, now, used, end = WindowEstimate(), 0.0, 0, window_s
    limit = draw.choice([10, 100, 500, 5000])
    rate = limit / window_s * draw.uniform(0.2, 1.5)
    for _ in range(600):
        now += draw.expovariate(rate) * (50 if draw.random() < 0.01 else 1)
        if now >= end:
            used, end = 0, (now // window_s + 1) * window_s
        used = min(used + 1, limit)
        estimate.add(limit, limit - used, round(math.ceil((end - now) / grain_s) * grain_s, 3))
        assert estimate.seconds in (USUAL_S, window_s)


def test_a_changed_mind_can_be_changed_back() -> None:
    """A provider that turns from a bucket an hour deep to fixed windows is believed to mean minutes again."""
    estimate = WindowEstimate()
    for used in (100, 130, 160, 200, 260):
        estimate.add(*of_a_bucket(5000, 3600, used))
    for used in range(1000, 4000, 100):
        estimate.add(5000, 5000 - used, 59.0 - used / 100)
    assert estimate.seconds == USUAL_S


@given(*[st.floats() | st.integers(-5, 10**13)] * 3)
def test_nonsense_is_left_out(limit: float, remaining: float, reset_s: float) -> None:
    """Whatever numbers come, nothing breaks and the estimate is one of the known windows."""
    estimate = WindowEstimate()
    for _ in range(30):
        estimate.add(limit, remaining, reset_s)
    assert estimate.seconds == USUAL_S


@pytest.mark.parametrize(
    "reading",
    [(0, 0, 5.5), (-5, 2, 5.5), (100, 200, 5.5), (100, -1, 5.5), (100, 100, 5.5), (100, 10, 0), (100, 10, math.nan)],
)
def test_the_impossible_does_not_disturb(reading: tuple[float, float, float]) -> None:
    """Contradictions between good readings do not break their agreement."""
    estimate = WindowEstimate()
    for used in (100, 130, 160, 200, 260):
        estimate.add(*of_a_bucket(5000, 3600, used))
        estimate.add(*reading)
    assert estimate.seconds == 3600


def test_a_minute_that_is_assumed_is_not_confirmed() -> None:
    """Only readings at different levels confirm, whichever window they speak for."""
    estimate = WindowEstimate()
    assert not estimate.confirmed
    for used in (100, 130, 160, 200, 260):
        estimate.add(*of_a_bucket(5000, 60, used))
    assert estimate.confirmed
    estimate.add(5000, 2500, 59.0)
    assert not estimate.confirmed
