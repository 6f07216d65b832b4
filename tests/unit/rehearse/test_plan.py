"""The crowd's plan."""

from collections import Counter
from itertools import pairwise

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.plan import expected_arrivals, plan_visits
from rushhour.rehearse.questions import Question
from rushhour.rehearse.scenario import Scenario, Tenant

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


def test_monday_is_the_monday_it_always_was() -> None:
    """Another plan for the same seed would make old figures incomparable."""
    visits = plan_visits(Scenario("monday"), [Question("t", f"q{n}", f"g{n}") for n in range(250)])

    assert [(visit.at, visit.question) for visit in visits[:3]] == [
        (0.004224, "q188"), (0.01053, "q113"), (0.017596, "q201"),
    ]  # fmt: skip
    assert visits[-1].at == 4.9908


def test_zipf_makes_few_questions_popular() -> None:
    """The first of them is asked about twice as often as the second."""
    visits = plan_visits(Scenario("x", users=3_000, mix="zipf", exponent=1.0), QUESTIONS)
    asked = Counter(visit.question for visit in visits)

    assert asked.most_common(1)[0][0] == "question 0"
    assert 1.6 < asked["question 0"] / asked["question 1"] < 2.4
    assert asked["question 6"] > 50


def test_tenants_share_the_users() -> None:
    """By their shares, the remainder to whom rounding took most; each sends its own key."""
    tenants = (Tenant("a", share=2), Tenant("b", share=1, key="sesame"))

    visits = plan_visits(Scenario("x", users=10, tenants=tenants), QUESTIONS)

    assert Counter(visit.tenant for visit in visits) == {"a": 7, "b": 3}
    assert {(visit.tenant, visit.key) for visit in visits} == {("a", "crowd-a"), ("b", "sesame")}


def test_a_flood_comes_all_at_once_among_the_others() -> None:
    """The other tenants' users come as the arrivals say."""
    tenants = (Tenant("calm", share=3), Tenant("flood", share=1, flood_at_s=2.0))

    visits = plan_visits(Scenario("x", users=400, over_s=5.0, tenants=tenants), QUESTIONS)

    assert {visit.at for visit in visits if visit.tenant == "flood"} == {2.0}
    assert len({visit.at for visit in visits if visit.tenant == "calm"}) > 290
    assert [visit.at for visit in visits] == sorted(visit.at for visit in visits)
    assert [visit.user for visit in visits] == list(range(400))


@pytest.mark.parametrize("users", [1, 7, 100, 333])
def test_nobody_is_lost_among_tenants(users: int) -> None:
    """Shares that do not divide evenly still make everybody somebody's user."""
    tenants = tuple(Tenant(name, share) for name, share in (("a", 1.0), ("b", 1.0), ("c", 0.37)))

    assert len(plan_visits(Scenario("x", users=users, tenants=tenants), QUESTIONS)) == users


def test_expected_arrivals_hold_the_floods() -> None:
    """What follows from a scenario counts those who come at once."""
    tenants = (Tenant("calm"), Tenant("flood", flood_at_s=1.0))

    assert expected_arrivals(Scenario("x", users=4, over_s=2.0, tenants=tenants)) == [0.0, 1.0, 1.0, 1.0]
