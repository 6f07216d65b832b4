"""The arithmetic of the floor, and scenarios that cannot be."""

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.scenario import Scenario, change, find_scenario, settings_of


def test_monday_has_a_floor_of_twenty_seconds() -> None:
    """1,000 users at 3,000 calls a minute drain in 20 s; a second of saved-up quota is worth one of them."""
    monday = find_scenario("monday")

    assert (monday.users, monday.over_s, monday.rpm) == (1_000, 5.0, 3_000)
    assert monday.floor_s == 20.0
    assert monday.burst_credit_s == 1.0
    assert monday.limit_per_s == 50.0


@pytest.mark.parametrize(("rpm", "floor"), [(500, 120.0), (3_000, 20.0), (10_000, 6.0)])
def test_floor_follows_the_limit(rpm: int, floor: float) -> None:
    """The drain time is users over the limit a second."""
    assert Scenario("x", rpm=rpm).floor_s == pytest.approx(floor)


def test_slow_arrivals_are_a_floor_themselves() -> None:
    """Nobody can answer users before they come."""
    assert Scenario("x", users=10, over_s=30.0).floor_s == 30.0


def test_burst_credit_never_exceeds_what_there_is_to_admit() -> None:
    """A deep bucket saves at most the whole drain time."""
    assert Scenario("x", users=50, burst_s=60.0).burst_credit_s == 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("users", 0),
        ("users", 1_000_000),
        ("over_s", -1.0),
        ("over_s", float("nan")),
        ("seed", -1),
        ("rpm", 0),
        ("patience_s", 0.0),
        ("arrivals", "sometimes"),
        ("questions", 0),
        ("friday_at_once", 0),
    ],
)
def test_impossible_scenarios_are_refused(field: str, value: object) -> None:
    """The message names the field and the value."""
    with pytest.raises(InvalidRequest, match=rf"{field} is {value}; use") as caught:
        change(Scenario("x"), **{field: value})

    assert caught.value.param == field


def test_an_unknown_scenario_is_told_those_that_exist() -> None:
    """A typing error costs one look."""
    with pytest.raises(InvalidRequest, match="no scenario 'tuesday'; choose from: monday"):
        find_scenario("tuesday")


def test_change_leaves_alone_what_is_none() -> None:
    """An option that was not given does not override the scenario."""
    changed = change(find_scenario("monday"), users=20, over_s=None, seed=9)

    assert (changed.users, changed.over_s, changed.seed) == (20, 5.0, 9)
    assert settings_of(changed)["users"] == 20
