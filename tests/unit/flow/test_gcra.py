"""The token-bucket arithmetic: never over the limit in any window, never a wait too long."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.flow.algorithms.gcra import Gcra

steps = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.floats(0.1, 20.0)),  # seconds that pass, cost asked
    min_size=1,
    max_size=80,
)


def admitted(bucket: Gcra, wanted: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Let each cost go as early as the bucket allows; return (when, cost)."""
    now, sent = 1000.0, []
    for passed, cost in wanted:
        now += passed
        now += bucket.wait(cost, now)
        bucket.take(cost, now)
        sent.append((now, cost))
    return sent


@given(steps, st.floats(0.5, 50.0), st.floats(20.0, 200.0))
def test_no_window_admits_more_than_burst_and_rate(
    wanted: list[tuple[float, float]], rate: float, burst: float
) -> None:
    """Between any two sends the cost stays within burst + rate x time."""
    sent = admitted(Gcra(rate, burst), wanted)

    for first in range(len(sent)):
        total = 0.0
        for when, cost in sent[first:]:
            total += cost
            assert total <= burst + rate * (when - sent[first][0]) + 1e-3


@given(steps, st.floats(0.5, 50.0), st.floats(20.0, 200.0))
def test_nobody_waits_longer_than_the_limit_explains(
    wanted: list[tuple[float, float]], rate: float, burst: float
) -> None:
    """All that was ever asked fits into (total - burst) / rate seconds of pure waiting."""
    sent = admitted(Gcra(rate, burst), wanted)

    waited = sent[-1][0] - 1000.0 - sum(passed for passed, _ in wanted)
    total = sum(cost for _, cost in wanted)
    assert waited <= max(0.0, total - burst) / rate + 1e-3


def test_a_rest_earns_the_burst_and_no_more() -> None:
    """After an hour of silence exactly the burst goes at once."""
    bucket = Gcra(rate=1.0, burst=5.0)
    for _ in range(5):
        assert bucket.wait(1.0, 3600.0) == 0
        bucket.take(1.0, 3600.0)

    assert bucket.wait(1.0, 3600.0) == pytest.approx(1.0)
    assert bucket.available(3600.0) == pytest.approx(0.0)


def test_a_cost_above_the_burst_goes_alone_when_the_bucket_is_full() -> None:
    """Waiting longer could never help it, so it goes, and the debt is paid afterwards."""
    bucket = Gcra(rate=1.0, burst=5.0)

    assert bucket.wait(8.0, 0.0) == 0
    bucket.take(8.0, 0.0)

    assert bucket.wait(1.0, 0.0) == pytest.approx(4.0)


def test_what_was_not_spent_comes_back() -> None:
    """A cost that is given back can be taken by somebody else at once."""
    bucket = Gcra(rate=1.0, burst=1.0)
    bucket.take(1.0, 0.0)
    bucket.give_back(1.0)

    assert bucket.wait(1.0, 0.0) == 0


def test_an_exhausted_bucket_paces_without_burst() -> None:
    """After the provider said its bucket is empty, sends go out one at a time."""
    bucket = Gcra(rate=2.0, burst=100.0)
    bucket.exhaust(10.0)

    assert bucket.wait(1.0, 10.0) == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (math.inf, 1), (math.nan, 1), (1, 0), (1, -2)])
def test_impossible_limits_are_refused(rate: float, burst: float) -> None:
    """A limit of zero, below zero or without end is named in the error."""
    with pytest.raises(ValueError, match=r"(rate|burst) is"):
        Gcra(rate, burst)
