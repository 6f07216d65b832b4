"""Intervals say how far a mean may be off; differences are judged question by question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rag.evaluate.bootstrap import estimate

shares = st.floats(0, 1)
tables = st.integers(1, 12).flatmap(
    lambda questions: st.lists(st.lists(shares, min_size=questions, max_size=questions), min_size=1, max_size=4)
)


def test_an_interval_is_as_wide_as_the_central_limit_theorem_says() -> None:
    """For 400 answers of which half are right: a mean of .5 and 1.96 standard errors of .025 to each side."""
    ((one,),) = estimate(np.array([[[0.0, 1.0] * 200]]), seed=1)

    assert one.mean == 0.5
    assert [one.low, one.high] == pytest.approx([0.451, 0.549], abs=0.005)


def test_a_small_difference_that_is_always_there_counts() -> None:
    """The two intervals overlap almost wholly, and yet the second is worse on each question that differs."""
    good = np.array([0.0, 1.0] * 100)
    less = good.copy()
    less[1:41:2] = 0.9
    ((first, second),) = estimate(np.array([[good, less]]), seed=1)

    assert second.high > first.low
    assert (first.best, first.worse, second.best, second.worse) == (True, False, False, True)


def test_a_difference_by_chance_does_not() -> None:
    """Two that win and lose nearly as often cannot be told apart."""
    good, other = np.array([1.0] * 51 + [0.0] * 49), np.array([0.0] * 51 + [1.0] * 49)
    ((first, second),) = estimate(np.array([[good, other]]), seed=1)

    assert (first.best, second.best, second.worse) == (True, False, False)


def test_a_seed_decides_the_intervals() -> None:
    """The same seed gives the same, another one nearly the same."""
    values = np.random.default_rng(5).random((3, 2, 30))

    assert estimate(values, seed=1) == estimate(values, seed=1) != estimate(values, seed=2)


def test_all_metrics_see_the_same_draws() -> None:
    """What a metric is judged by does not depend on which others are judged beside it."""
    values = np.random.default_rng(5).integers(0, 2, (3, 2, 64)).astype(np.float64)

    together = estimate(values, seed=1)

    assert together == [one for metric in values for one in estimate(metric[None], seed=1)]
    assert together[0] != together[1]


def test_many_questions_are_drawn_in_parts() -> None:
    """More than fit into memory at once give an interval as well."""
    ((one,),) = estimate(np.array([[[0.0, 1.0] * 4000]]), seed=1, draws=1500)

    assert 0.48 < one.low < 0.5 < one.high < 0.52


@settings(deadline=None, max_examples=50)
@given(tables)
def test_an_interval_holds_its_mean_and_keeps_the_bounds(table: list[list[float]]) -> None:
    """One is the best at least, none is both best and worse, and no interval leaves the range of its values."""
    values = np.array(table)
    (found,) = estimate(values[None], seed=1, draws=200)

    for one, row in zip(found, values, strict=True):
        assert row.min() - 1e-9 <= one.low <= one.mean <= one.high <= row.max() + 1e-9
        assert not (one.best and one.worse)
    assert any(one.best for one in found)
    assert not any(one.worse for one in found if one.mean == max(other.mean for other in found))
