"""A queue stands when everybody in it is late, and not before."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.flow.algorithms.standing import StandingQueue


def test_a_burst_is_no_standing_queue() -> None:
    """Late calls for less than an interval are what a queue is for."""
    queue = StandingQueue(interval_s=1.0)
    for n in range(10):
        queue.note(n * 0.1, late=True)

    assert not queue.standing(0.9)


def test_stands_once_everybody_was_late_for_an_interval() -> None:
    """One second of nothing but late calls."""
    queue = StandingQueue(interval_s=1.0)
    for n in range(11):
        queue.note(n * 0.125, late=True)

    assert queue.standing(1.25)


def test_one_call_in_time_begins_the_count_anew() -> None:
    """As long as somebody gets through in time, deadlines order the queue well."""
    queue = StandingQueue(interval_s=1.0)
    for n in range(100):
        queue.note(n * 0.1, late=n % 9 != 0)

    assert not queue.standing(10.0)


def test_does_not_flap() -> None:
    """Newest-first makes calls be in time; only after an interval of it does one of them end it."""
    queue = StandingQueue(interval_s=1.0)
    queue.note(0.0, late=True)
    queue.note(1.0, late=True)

    queue.note(1.1, late=False)
    queue.note(1.5, late=True)
    queue.note(1.9, late=False)
    assert queue.standing(1.9)

    queue.note(2.5, late=True)
    assert queue.standing(2.5)

    queue.note(2.6, late=False)
    assert not queue.standing(2.6)


def test_after_it_ended_it_takes_an_interval_again() -> None:
    """The old count is forgotten."""
    queue = StandingQueue(interval_s=1.0)
    for now, late in ((0.0, True), (1.0, True), (2.0, False), (2.1, True), (2.9, True)):
        queue.note(now, late=late)
    assert not queue.standing(2.9)

    queue.note(3.1, late=True)
    assert queue.standing(3.1)


def test_silence_ends_it() -> None:
    """When nobody has come for a while nobody waits; and two late calls an hour apart are two, not an hour of them."""
    queue = StandingQueue(interval_s=1.0)
    queue.note(0.0, late=True)
    queue.note(1.0, late=True)
    assert queue.standing(2.0)
    assert not queue.standing(3600.0)

    queue.note(3600.0, late=True)
    assert not queue.standing(3600.0)


eighths = st.integers(0, 16).map(lambda n: n / 8)
"""Seconds that floats can add up without rounding."""


@given(st.lists(st.tuples(eighths, st.booleans()), max_size=60))
def test_it_never_stands_unless_an_interval_was_late(steps: list[tuple[float, bool]]) -> None:
    """At the moment it begins, every outcome of the last interval was late."""
    queue, noted, now, stood = StandingQueue(interval_s=1.0), list[tuple[float, bool]](), 0.0, False
    for passed, late in steps:
        now += passed
        noted.append((now, late))
        queue.note(now, late)
        if queue.standing(now) and not stood:
            lately = [was_late for at, was_late in noted if at > now - 1.0]
            assert all(lately)
            assert noted[0][0] <= now - 1.0
        stood = queue.standing(now)


@pytest.mark.parametrize("interval", [0.0, -1.0, math.inf, math.nan])
def test_impossible_intervals_are_refused(interval: float) -> None:
    """An interval is a positive number of seconds."""
    with pytest.raises(ValueError, match="interval_s is"):
        StandingQueue(interval)
