"""Leased slots: spent once, never early, never late."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.ledger.lease import Lease
from rushhour.flow.ledger.lease_call import ServerClock

SECONDS = st.floats(0.001, 5.0)


def test_a_slot_may_go_when_the_bucket_has_room_for_it() -> None:
    """A cost that ends at p may go at p less the bucket's depth."""
    lease = Lease(depth=2.0, grace=0.5)
    lease.add(10.0, 1.0)

    assert lease.ready(0.25) == pytest.approx(8.25)
    assert lease.ready(1.0) == pytest.approx(9.0)
    assert lease.ready(1.1) is None


def test_a_cost_above_the_depth_goes_when_the_bucket_is_full() -> None:
    """Waiting longer than for a full bucket could never help it."""
    lease = Lease(depth=2.0, grace=0.5)
    lease.add(10.0, 5.0)

    assert lease.ready(5.0) == pytest.approx(10.0)


def test_a_place_that_was_leased_again_does_not_let_a_later_one_go_early() -> None:
    """After others returned theirs a new lease may begin before an older one: the latest place spent decides."""
    lease = Lease(depth=2.0, grace=0.5)
    lease.add(9.0, 1.0)
    lease.add(8.0, 6.0)

    assert lease.ready(7.0) == pytest.approx(14.0 - 7.0)
    assert lease.ready(1.0) == pytest.approx(10.0 - 2.0)
    lease.expire(9.0)
    assert lease.held == pytest.approx(6.5)


def test_slots_that_have_passed_are_gone() -> None:
    """They stay good for the grace and no longer."""
    lease = Lease(depth=2.0, grace=0.5)
    lease.add(10.0, 1.0)

    lease.expire(10.5)
    assert lease.held == pytest.approx(1.0)
    lease.expire(10.75)
    assert lease.held == pytest.approx(0.75)
    lease.expire(12.0)
    assert lease.held == 0


def test_what_is_given_up_comes_from_the_end_and_counts_only_ahead() -> None:
    """Others can use places that have not passed, nothing else."""
    lease = Lease(depth=2.0, grace=0.5)
    lease.add(10.0, 1.0)
    lease.add(20.0, 1.0)

    assert lease.cut(keep=0.5, now=10.6) == pytest.approx(1.4)
    assert lease.held == pytest.approx(0.5)
    assert lease.ready(0.5) == pytest.approx(8.5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "spend", "restore", "cut", "expire"]), SECONDS), max_size=40))
def test_never_more_is_spent_than_was_leased(steps: list[tuple[str, float]]) -> None:
    """Whatever is done in whatever order: spent and held together are at most what was added, less what was cut."""
    lease = Lease(depth=1.0, grace=0.2)
    now, end, spent, leased = 0.0, 0.0, 0.0, 0.0
    for what, seconds in steps:
        if what == "add":
            start = max(end, now)
            lease.add(start, seconds)
            end, leased = start + seconds, leased + seconds
        elif what == "spend":
            spent += seconds - lease.spend(seconds)
        elif what == "restore" and spent >= seconds:
            lease.restore(seconds)
            spent -= seconds
        elif what == "cut":
            leased -= lease.cut(seconds, now)
        else:
            now += seconds
            lease.expire(now)
        assert lease.held >= 0
        assert spent + lease.held <= leased + 1e-6


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 0.6), st.floats(0.0, 0.8)), min_size=5, max_size=60),
    st.floats(0.3, 5.0),
)
def test_holders_of_one_axis_never_exceed_the_bucket(steps: list[tuple[int, float, float]], depth: float) -> None:
    """Three replicas lease one after the other and send whenever they may: over any window, depth + grace + window."""
    grace, now, tat = 0.2, 0.0, 0.0
    holders = [Lease(depth, grace) for _ in range(3)]
    level_at, worst = 0.0, 0.0
    for who, cost, pause in steps:
        now += pause
        lease = holders[who]
        lease.expire(now)
        if (missing := cost - lease.held) > 0:
            tat = max(tat, now)
            lease.add(tat, missing + 0.1)
            tat += missing + 0.1
        ready = lease.ready(cost)
        assert ready is not None
        if ready > now:
            continue
        assert lease.spend(cost) == 0
        level_at = max(level_at, now) + cost
        worst = max(worst, level_at - now)
    assert worst <= max(depth, *(cost for _, cost, _ in steps)) + grace + 1e-6


def test_the_servers_clock_is_never_taken_for_earlier_than_it_is() -> None:
    """The reply may have travelled at any speed: the latest time is believed, and the shortest trip tells most."""
    clock = ServerClock()

    clock.observe(sent=100.0, server=5.0, heard=100.4)
    assert clock.on_loop(5.0) == pytest.approx(100.4)
    clock.observe(sent=101.0, server=6.1, heard=101.2)
    assert clock.on_loop(6.1) == pytest.approx(101.2)
    clock.observe(sent=102.0, server=7.1, heard=102.9)
    assert clock.on_loop(7.1) == pytest.approx(102.2, abs=0.001)


def test_a_server_clock_that_was_set_is_believed_at_once() -> None:
    """An hour forth or back contradicts what was known; the new exchange counts alone."""
    clock = ServerClock()
    clock.observe(sent=100.0, server=5.0, heard=100.4)

    clock.observe(sent=101.0, server=3606.0, heard=101.2)
    assert clock.on_loop(3606.0) == pytest.approx(101.2)
    clock.observe(sent=102.0, server=7.0, heard=102.2)
    assert clock.on_loop(7.0) == pytest.approx(102.2)
