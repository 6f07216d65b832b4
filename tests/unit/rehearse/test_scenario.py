"""Scenarios as values: what they are by default, what they may not be, and how they change."""

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.floor import Limits
from rushhour.rehearse.plan import floor_for
from rushhour.rehearse.scenario import BROWNOUT, Scenario, Tenant, Window, change, quiet_day, settings_of


@pytest.mark.parametrize(("rpm", "floor"), [(500, 120.0), (3_000, 20.0), (10_000, 6.0)])
def test_the_floor_follows_the_limit(rpm: int, floor: float) -> None:
    """The drain time is users over the limit a second."""
    assert floor_for(Scenario("x", limits=Limits(rpm, 30_000_000, 1.0))).seconds == pytest.approx(floor)


def test_slow_arrivals_are_a_floor_themselves() -> None:
    """Nobody can answer users before they come."""
    assert floor_for(Scenario("x", users=10, over_s=30.0)).seconds == 30.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("users", 0),
        ("users", 100_000_000),
        ("over_s", -1.0),
        ("over_s", float("nan")),
        ("seed", -1),
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


def test_a_burst_takes_no_time() -> None:
    """Everybody at once, over five seconds, is a contradiction that is named."""
    with pytest.raises(InvalidRequest, match=r"over_s is 5\.0; use 0 seconds"):
        Scenario("x", arrivals="burst")


def test_a_replay_has_no_more_users_than_were_recorded() -> None:
    """What was not recorded cannot be repeated."""
    with pytest.raises(InvalidRequest, match="users is 3; use at most 2"):
        Scenario("x", arrivals="replay", users=3, recorded=(0.0, 1.0))


def test_change_leaves_alone_what_is_none() -> None:
    """An option that was not given does not override the scenario."""
    changed = change(Scenario("x"), users=20, over_s=None, seed=9)

    assert (changed.users, changed.over_s, changed.seed) == (20, 5.0, 9)
    assert settings_of(changed)["users"] == 20


def test_the_settings_keep_their_names() -> None:
    """Scripts read the limit that binds beside what the crowd does."""
    shown = settings_of(Scenario("x"))

    assert {
        "name", "users", "over_s", "seed", "profile", "rpm", "burst_s", "arrivals", "patience_s", "stream", "questions",
        "friday_users", "friday_at_once",
    } <= shown.keys()  # fmt: skip
    assert (shown["rpm"], shown["burst_s"]) == (3_000, 1.0)


def test_friday_is_quiet_whatever_monday_brings() -> None:
    """A few users of one tenant, nobody floods, nothing fails on purpose."""
    monday = Scenario(
        "x",
        tenants=(Tenant("a", flood_at_s=3.0), Tenant("b")),
        faults={"chat": {"reset": 0.5}},
        windows=(Window("reset", ("chat",), 1.0, 2.0),),
        mix="zipf",
    )

    friday = quiet_day(monday)

    assert (friday.users, friday.over_s, friday.mix) == (20, 0.0, "even")
    assert (friday.faults, friday.windows) == ({}, ())
    assert friday.tenants == (Tenant("a"),)


def test_only_whole_outages_of_chat_close_it() -> None:
    """A brownout, half an outage, or one of another API leaves some calls that succeed."""
    windows = (
        Window("reset", ("chat", "vectors"), 1.0, 2.0),
        Window("reset", ("chat",), 3.0, 4.0, share=0.5),
        Window("reset", ("embeddings",), 5.0, 6.0),
        Window(BROWNOUT, ("chat",), 7.0, 8.0),
    )

    assert Scenario("x", windows=windows).closed == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("window", "label"),
    [
        (Window("overloaded", ("chat",), 0, 1), "overloaded: chat"),
        (Window("bad_gateway", ("chat", "vectors"), 0, 1, share=0.25), "bad gateway: 25% of chat and vectors"),
        (Window(BROWNOUT, ("embeddings",), 0, 1, factor=8), "brownout: embeddings × 8"),
    ],
)
def test_windows_are_named(window: Window, label: str) -> None:
    """A reader of the report sees what it was."""
    assert window.label == label
