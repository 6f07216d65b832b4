"""Whoever is refused is told a time of his own."""

from __future__ import annotations

import pytest

from rushhour.flow.algorithms.returns import LONGEST_S, Returns


def test_one_after_another_from_when_the_queue_has_drained() -> None:
    """Each is told the place after the one before, and nobody a time before the queue has drained."""
    returns = Returns()

    assert [returns.after(10.0, "a", 2.0, 0.0) for _ in range(3)] == [10.0, 12.0, 14.0]
    assert returns.after(30.0, "a", 2.0, 0.0) == 30.0


def test_places_that_have_passed_are_forgotten() -> None:
    """After a quiet time everything begins anew."""
    returns = Returns()
    for _ in range(5):
        returns.after(10.0, "a", 2.0, 0.0)

    assert returns.after(1.0, "a", 2.0, 15.0) == 5.0
    assert returns.after(1.0, "a", 2.0, 100.0) == 1.0


def test_who_floods_is_sent_behind_himself() -> None:
    """A thousand refusals of one tenant do not make another wait for his places."""
    returns = Returns()
    told = [returns.after(1.0, "flood", 1.0, 0.0) for _ in range(1000)]

    assert returns.after(1.0, "b", 1.0, 0.0) == 1.0
    assert returns.after(1.0, "b", 1.0, 0.0) == 3.0  # two share the pace
    assert max(told) == pytest.approx(1000.0)


def test_where_others_share_the_limit_they_come_as_much_more_slowly() -> None:
    """Three times the cost apart; what is booked is their cost alone."""
    returns = Returns()

    assert [returns.after(10.0, "a", 2.0, 0.0, 3.0) for _ in range(3)] == [10.0, 16.0, 22.0]
    assert returns.booked(0.0) == 6.0


def test_what_is_booked_is_what_has_not_come_yet() -> None:
    """Tenants count together; whose time has come is asking again, or never will."""
    returns = Returns()
    for tenant in "ab":
        for _ in range(5):
            returns.after(10.0, tenant, 2.0, 0.0)

    assert returns.booked(9.0) == 20.0
    assert 0 < returns.booked(20.0) < 20.0
    assert returns.booked(100.0) == 0.0


def test_nobody_is_sent_away_for_ever() -> None:
    """Most of a flood will never return: its places end an hour after the queue."""
    returns = Returns()
    told = [returns.after(1.0, "flood", 60.0, 0.0) for _ in range(1000)]

    assert max(told) == 1.0 + LONGEST_S
