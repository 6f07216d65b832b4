"""A plan's keys, from options and files, and what cannot be."""

from pathlib import Path
from typing import Any

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.planning.described import traffic_of
from rushhour.rehearse.planning.keys import read_keys
from rushhour.rehearse.planning.traffic import Traffic


def _traffic(**options: Any) -> Traffic:
    return traffic_of(read_keys(None, options))


def test_a_rush() -> None:
    """Durations and shares as people write them."""
    traffic = _traffic(users=1_000, over="5s", repeats="30%", patience="2m")

    assert (traffic.users, traffic.over_s, traffic.repeats, traffic.patience_s) == (1_000, 5.0, 0.3, 120.0)


def test_a_day_with_a_peak() -> None:
    """A rate for a while, or a share of the day in its busiest hour."""
    rate = _traffic(per_day=50_000, peak="40/s", peak_for="1m")
    hour = _traffic(per_day=50_000, peak_hour="15%")

    assert (rate.users, rate.over_s, rate.a_day) == (2_400, 60.0, 50_000)
    assert (hour.users, hour.over_s) == (7_500, 3_600.0)
    assert _traffic(per_day=1_000).users == 200


def test_popular_questions() -> None:
    """Zipf's law says how many repeat."""
    assert 0.5 < _traffic(users=1_000, over="5s", repeats="zipf:250").repeats < 0.9


def test_a_file_whose_keys_options_outrank(tmp_path: Path) -> None:
    """The same keys; a profile's path is relative to the file."""
    file = tmp_path / "rush.toml"
    file.write_text('users = 500\nover = "2s"\nprofile = "mine.toml"\nset = ["chat.rpm=5"]\n')

    keys = read_keys(file, {"users": 700, "over": None, "set": []})

    assert (keys.users, keys.over, keys.set) == (700, 2.0, ("chat.rpm=5",))
    assert keys.profile == str(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Say how many ask: --users 1000 --over 5s"),
        ({"users": 0}, "--users = 0: it must be greater than or equal to 1"),
        ({"users": 5, "over": "soon"}, "--over = 'soon': write a duration like 5s"),
        ({"users": 5, "peak": "1/s"}, "--users and --peak both say how large the peak is"),
        ({"per_day": 100, "peak": "fast"}, "--peak = 'fast': write a rate like 40/s"),
        ({"per_day": 100, "peak": "40/s"}, "12,000 questions, more than the 100 of the whole day"),
        ({"per_day": 100, "peak_hour": "150%"}, "--peak-hour = '150%': it must be less than or equal to 1"),
        ({"per_day": 10, "users": 50}, "users is 50, more than the 10 of the whole day"),
        ({"per_day": 10, "over": "5s"}, "--over goes with --users"),
        ({"users": 10, "peak_for": "5s"}, "--peak-for goes with --peak"),
        ({"users": 10, "repeats": "100%"}, "--repeats = '100%': a share of the questions is from 0 to less than 1"),
        ({"users": 10, "repeats": "zipf:0"}, "repeats is 'zipf:0'; write zipf:500"),
        ({"users": 10, "repeats": "often"}, "--repeats = 'often': write a share like 30%"),
        ({"users": 10, "max_tokens": 100}, "max_tokens is 100, less than an answer of 250 tokens"),
        ({"users": 10, "cached_tokens": 9_000}, "cached_tokens is 9000, more than the prompt's 3,000"),
        ({"users": 10, "question_tokens": 9_000}, "question_tokens is 9000, more than the prompt's"),
        ({"users": 10, "patience": "0s"}, "--patience = '0s': it must be greater than 0"),
        ({"users": 10, "price_in": -1.0}, "--price-in = -1.0"),
        ({"users": 10, "simulate": 10**6}, "--simulate = 1000000"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    """The message names the option, its value, and the remedy."""
    with pytest.raises(InvalidRequest) as caught:
        _traffic(**options)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("userz = 5", "userz: there is no such key; did you mean users?"),
        ("users = 5\nwith = 1\nqqq = 2", "qqq: there is no such key; known are users, over"),
        ('users = "many"', "users = 'many': it must be a valid integer"),
        ("users = ", "is not valid TOML"),
    ],
)
def test_a_file_with_mistakes(text: str, words: str, tmp_path: Path) -> None:
    """Every one is told, with the nearest key there is."""
    file = tmp_path / "rush.toml"
    file.write_text(text)

    with pytest.raises(InvalidRequest) as caught:
        read_keys(file, {})

    assert words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Named, with what to do."""
    with pytest.raises(InvalidRequest, match=r"none\.toml cannot be read: No such file"):
        read_keys(tmp_path / "none.toml", {})
