"""The arithmetic of the floor."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rehearse.floor import CallTokens, Limits, ceiling_of, floor_of
from rushhour.rehearse.slots import Slots

ROOMY = 1e12
TOKENS = CallTokens(1_000, 40)


def _even(users: int, over_s: float) -> list[float]:
    return [over_s * user / users for user in range(users)]


def _floor(
    users: int, over_s: float, rpm: float, burst_s: float = 1.0, closed: Sequence[tuple[float, float]] = ()
) -> float:
    return floor_of(_even(users, over_s), over_s, Limits(rpm, ROOMY, burst_s), TOKENS, closed).seconds


def test_a_thousand_users_take_twenty_seconds_at_fifty_a_second() -> None:
    """The figure that everything is compared with, to the millisecond."""
    assert _floor(1_000, 5.0, 3_000) == 20.0


def test_what_was_saved_up_shortens_it() -> None:
    """A bucket that is a minute deep admits the first 500 at once; one second of it stands for the last answer."""
    assert _floor(1_000, 0.0, 500, burst_s=60.0) == pytest.approx(120.0 - 59.0)


def test_the_scarcer_limit_counts() -> None:
    """Two million tokens a minute are 33 prompts of 1,000 a second, fewer than the 50 requests."""
    floor = floor_of(_even(1_000, 5.0), 5.0, Limits(3_000, 2_000_000, 1.0), TOKENS)

    assert floor.bound == "tokens"
    assert floor.seconds == pytest.approx(30.0)
    assert floor.limit.calls_per_s == pytest.approx(33.333, abs=0.001)


def test_arrivals_that_grow_are_counted_from_the_end() -> None:
    """A ramp beyond the limit leaves a queue when the last user comes, which the mean rate would hide."""
    ramp = [40.0 * (user / 1_500) ** 0.5 for user in range(1_500)]

    floor = floor_of(ramp, 40.0, Limits(3_000, ROOMY, 1.0), TOKENS)

    assert floor.seconds == pytest.approx(42.3, abs=0.1)


def test_an_outage_is_added_while_users_wait() -> None:
    """Ten seconds without a call, less the second of quota that is saved up meanwhile."""
    assert _floor(1_000, 5.0, 3_000, closed=[(5.0, 15.0)]) == pytest.approx(29.0)


def test_an_outage_when_nobody_waits_costs_nothing() -> None:
    """All have been answered before it begins, or come after it."""
    assert _floor(100, 1.0, 3_000, closed=[(30.0, 40.0)]) == pytest.approx(2.0)


def test_two_outages_are_both_passed() -> None:
    """A single user who comes in the first is answered after it, and not in the second."""
    alone = floor_of([5.5], 5.5, Limits(60, ROOMY, 1.0), TOKENS, [(5.0, 6.0), (6.0, 8.0)])

    assert alone.seconds == pytest.approx(8.0, abs=0.01)


def test_who_can_never_be_admitted_does_not_count() -> None:
    """After the money is gone no answer is generated; what is left is the users' coming."""
    assert _floor(1_000, 20.0, 3_000, closed=[(5.0, float("inf"))]) == 20.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=60).map(sorted),
    st.floats(20, 600),
    st.sampled_from([1.0, 5.0, 60.0]),
    st.floats(0, 20),
    st.floats(0.1, 10),
)
def test_an_outage_never_makes_it_faster(
    arrivals: list[float], rpm: float, burst_s: float, begin: float, length: float
) -> None:
    """And by no more than it lasts."""
    limits = Limits(rpm, ROOMY, burst_s)

    open_ = floor_of(arrivals, arrivals[-1], limits, TOKENS).seconds
    shut = floor_of(arrivals, arrivals[-1], limits, TOKENS, [(begin, begin + length)]).seconds

    assert open_ - 1e-6 <= shut <= open_ + length + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.floats(0.5, 100), st.sampled_from([1.0, 10.0]), st.floats(0, 20), st.floats(0.1, 10))
def test_the_ceiling_rises_to_all_users_or_to_the_end(
    users: int, rate: float, burst_s: float, begin: float, length: float
) -> None:
    """It never falls, never exceeds the users, and rests while the provider is closed."""
    corners = ceiling_of(users, rate, burst_s, 40.0, [(begin, begin + length)])

    assert corners[0][0] == 0.0
    for (x0, y0), (x1, y1) in pairwise(corners):
        assert x1 >= x0 - 1e-9
        assert y1 >= y0 - 1e-9
    assert corners[-1][1] <= users + 1e-9
    assert corners[-1][1] == pytest.approx(users) or corners[-1][0] == pytest.approx(40.0)


def test_the_ceiling_of_monday_is_one_line() -> None:
    """Fifty at once, then fifty a second."""
    assert ceiling_of(1_000, 50.0, 1.0, 30.0) == [(0.0, 50.0), (19.0, 1_000.0)]


def test_the_ceiling_jumps_by_what_an_outage_saved() -> None:
    """The bucket fills while nobody may draw from it."""
    assert ceiling_of(1_000, 50.0, 1.0, 40.0, [(5.0, 15.0)]) == [
        (0.0, 50.0), (5.0, 300.0), (15.0, 300.0), (15.0, 350.0), (28.0, 1_000.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("users", "over_s", "seconds", "bound"), [
    (40, 0.0, 91.0, "slots"), (40, 30.0, 91.0, "slots"), (14, 30.0, 30.0, "arrivals"),
])  # fmt: skip
def test_slots_are_a_limit(users: int, over_s: float, seconds: float, bound: str) -> None:
    """Four calls of 10 s at a time: of 40 the last is begun after 90 s, and as everywhere its answer counts for one."""
    limits = Limits(ROOMY, ROOMY, 60.0, Slots(4, first_s=6.0, token_s=0.1))

    floor = floor_of(_even(users, over_s), over_s, limits, TOKENS)

    assert (floor.bound, floor.limit.name, floor.limited) == (bound, "slots", True)
    assert floor.limit.calls_per_s == pytest.approx(0.4)
    assert floor.limit.saved_s == pytest.approx(10.0)
    assert floor.seconds == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(("rpm", "bound"), [(12, "requests"), (60, "slots")])
def test_the_scarcer_of_requests_and_slots_counts(rpm: float, bound: str) -> None:
    """0.4 calls a second by slots, against 0.2 and 1 by requests."""
    limits = Limits(rpm, ROOMY, 1.0, Slots(4, first_s=6.0, token_s=0.1))

    assert floor_of(_even(100, 0.0), 0.0, limits, TOKENS).bound == bound


def test_where_nothing_limits_users_come_and_are_served() -> None:
    """A limit that nobody counts up to is none."""
    floor = floor_of(_even(1_000, 5.0), 5.0, Limits(ROOMY, ROOMY, 60.0), TOKENS)

    assert (floor.seconds, floor.bound, floor.limited) == (5.0, "arrivals", False)
