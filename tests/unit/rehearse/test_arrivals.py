"""When users come."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rehearse.arrivals import Arrivals, UnreadableTimes, expected, read_times, times_of


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["poisson", "uniform", "burst", "ramp"]), st.integers(1, 400), st.floats(0, 600), st.integers(0, 99)
)
def test_every_kind_comes_in_order_and_in_time(kind: Arrivals, users: int, over_s: float, seed: int) -> None:
    """As many as were asked for, from 0 to the end."""
    times = times_of(kind, users, over_s, random.Random(seed), ())

    assert len(times) == users
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= over_s


def test_a_ramp_grows_from_nothing() -> None:
    """Half of the time has passed when a quarter has come."""
    times = times_of("ramp", 1_000, 10.0, random.Random(1), ())

    assert sum(time < 5.0 for time in times) == 250


def test_a_burst_is_everybody_at_once() -> None:
    """Nobody comes later."""
    assert set(times_of("burst", 5, 0.0, random.Random(1), ())) == {0.0}


def test_chance_is_left_out_of_what_is_expected() -> None:
    """Poisson arrivals are expected evenly."""
    assert expected("poisson", 4, 2.0, ()) == [0.0, 0.5, 1.0, 1.5]


def test_a_replay_is_stretched_and_thinned() -> None:
    """Two of four recorded users, over twice the time."""
    assert times_of("replay", 4, 6.0, random.Random(1), (0.0, 1.0, 1.0, 3.0)) == [0.0, 2.0, 2.0, 6.0]
    assert times_of("replay", 2, 3.0, random.Random(1), (0.0, 1.0, 1.0, 3.0)) == [0.0, 1.0]
    assert times_of("replay", 1, 0.0, random.Random(1), (0.0,)) == [0.0]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("12.5\n10\n11\n", (0.0, 1.0, 2.5)),
        ("user,at\nann,3\nbob,1\n\n", (0.0, 2.0)),
        ("when\n2026-11-23T09:00:00\n2026-11-23T09:00:02.5\n", (0.0, 2.5)),
        ("\ufeffTimestamp,x\n2026-11-23 09:00:01+01:00,1\n2026-11-23T08:00:00Z,2\n", (0.0, 1.0)),
    ],
)
def test_times_are_read_as_people_record_them(tmp_path: Path, text: str, times: tuple[float, ...]) -> None:
    """Seconds or dates, with or without a header, in any order; the first is 0."""
    file = tmp_path / "times.csv"
    file.write_text(text, "utf-8")

    assert read_times(file) == pytest.approx(times)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds no times"), ("at\n", "holds no times"), ("at\n1\nnoon\n2\nnan\n", "line 3, 5: not a time")],
)
def test_lines_that_are_no_times_are_named(tmp_path: Path, text: str, words: str) -> None:
    """All of them, by number."""
    file = tmp_path / "times.csv"
    file.write_text(text, "utf-8")

    with pytest.raises(UnreadableTimes, match=words):
        read_times(file)
