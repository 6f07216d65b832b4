"""The crowd's plan."""

from collections import Counter
from itertools import pairwise

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.questions import Question
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.visits import plan_visits

QUESTIONS = [Question("t", f"question {n}", f"gold {n}") for n in range(7)]


def test_everybody_comes_within_the_time_and_in_order() -> None:
    """Poisson arrivals, given how many, lie anywhere in the interval."""
    visits = plan_visits(Scenario("x", users=500, over_s=5.0), QUESTIONS)
    times = [visit.at for visit in visits]

    assert [visit.user for visit in visits] == list(range(500))
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 5.0
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) > 3 * min(gaps)


def test_uniform_arrivals_are_evenly_spaced() -> None:
    """The other kind of arrivals has no bursts within."""
    visits = plan_visits(Scenario("x", users=4, over_s=2.0, arrivals="uniform"), QUESTIONS)

    assert [visit.at for visit in visits] == [0.0, 0.5, 1.0, 1.5]


def test_questions_are_shared_out_evenly() -> None:
    """None is asked twice before all are asked once, and gold goes with its question."""
    visits = plan_visits(Scenario("x", users=70), QUESTIONS)

    assert set(Counter(visit.question for visit in visits).values()) == {10}
    assert all(visit.gold == visit.question.replace("question", "gold") for visit in visits)


def test_the_seed_decides_who_asks_what_when() -> None:
    """Two pipelines get the same Monday; another seed is another Monday."""
    scenario = Scenario("x", users=50)

    assert plan_visits(scenario, QUESTIONS) == plan_visits(scenario, QUESTIONS)
    assert plan_visits(Scenario("x", users=50, seed=2), QUESTIONS) != plan_visits(scenario, QUESTIONS)


def test_without_questions_there_is_no_plan() -> None:
    """An empty corpus is named as the reason."""
    with pytest.raises(InvalidRequest, match="no question to ask"):
        plan_visits(Scenario("x"), [])
