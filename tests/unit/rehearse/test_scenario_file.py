"""Scenarios as files: the shipped ones, one's own, and everything that can be wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.floor import CallTokens
from rushhour.rehearse.plan import floor_for
from rushhour.rehearse.scenario import Scenario, Tenant, Window, settings_of
from rushhour.rehearse.scenario_file import build_scenario, find_scenario, shipped


def _mistakes(content: dict[str, Any], folder: Path | None = None) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        build_scenario("mine", content, folder)
    first, *lines = str(caught.value).splitlines()
    assert first == "The scenario mine cannot be played:"
    assert caught.value.param == "scenario"
    return [line.removeprefix("  - ") for line in lines]


def test_monday_is_the_plain_scenario() -> None:
    """1,000 users in 5 s against 3,000 requests a minute enforced per second: a floor of 20 s."""
    monday = find_scenario("monday")

    assert monday == Scenario("monday", description=monday.description)
    assert floor_for(monday).seconds == 20.0


def test_the_promised_scenarios_are_shipped() -> None:
    """By name, the plain Monday first."""
    assert shipped() == [
        "monday", "brownout", "burst", "flaky", "outage", "quota-gone", "ramp", "soak", "tpm-bound",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bound", "floor"),
    [
        ("brownout", "arrivals", 20.0),
        ("burst", "requests", 20.0),
        ("flaky", "arrivals", 20.0),
        ("outage", "requests", 28.0),
        ("quota-gone", "arrivals", 15.0),
        ("ramp", "requests", 42.3),
        ("soak", "arrivals", 300.0),
        ("tpm-bound", "tokens", 25.5),
    ],
)
def test_each_shipped_scenario_has_its_floor(name: str, bound: str, floor: float) -> None:
    """From its own limits, arrivals and outages, and short enough for its users' patience."""
    scenario = find_scenario(name)

    found = floor_for(scenario)

    assert found.bound == bound
    assert found.seconds == pytest.approx(floor, abs=0.1)
    assert found.seconds <= scenario.over_s + scenario.patience_s
    assert scenario.description


def test_a_file_says_everything_it_can(tmp_path: Path) -> None:
    """Every key is read, durations as people write them, paths from the file's folder."""
    (tmp_path / "times.csv").write_text("at\n5\n6\n9\n")
    (tmp_path / "slow.toml").write_text("[chat]\nrpm = 600\ntpm = 1_000_000\nburst_s = 2\n")
    (tmp_path / "mine.toml").write_text(
        """
        description = "Mine"
        users = 2
        over = "1m"
        arrivals = "replay"
        replay = "times.csv"
        patience = "30s"
        stream = false
        obeys = false
        seed = 7
        profile = "slow.toml"
        [provider.chat]
        rpm = 1_200
        [provider.chat.latency]
        median_s = 0.1
        [faults.chat]
        reset = 0.1
        [[outages]]
        from = "1s"
        to = 2
        [[outages]]
        from = 3
        kind = "bad_gateway"
        share = 0.5
        surfaces = ["chat", "vectors"]
        [[brownouts]]
        from = 1
        to = 2
        factor = 4
        [questions]
        count = 9
        mix = "zipf"
        exponent = 1.5
        [friday]
        users = 3
        at_once = 2
        [[tenants]]
        name = "a"
        share = 2
        weight = 3
        [[tenants]]
        name = "b"
        key = "sesame"
        flood_at = "10s"
        """
    )

    mine = find_scenario(str(tmp_path / "mine.toml"))

    assert (mine.name, mine.users, mine.over_s, mine.recorded) == ("mine", 2, 60.0, (0.0, 1.0, 4.0))
    assert (mine.patience_s, mine.stream, mine.obeys, mine.seed) == (30.0, False, False, 7)
    assert mine.profile == str((tmp_path / "slow.toml").resolve())
    assert (mine.limits.rpm, mine.limits.tpm, mine.limits.burst_s) == (1_200, 1_000_000, 2.0)
    assert mine.overrides == ("chat.rpm=1200", "chat.latency.median_s=0.1")
    assert mine.faults == {"chat": {"reset": 0.1}}
    assert mine.windows == (
        Window("server_error", ("chat",), 1.0, 2.0),
        Window("brownout", ("chat",), 1.0, 2.0, factor=4.0),
        Window("bad_gateway", ("chat", "vectors"), 3.0, float("inf"), share=0.5),
    )
    assert (mine.questions, mine.mix, mine.exponent) == (9, "zipf", 1.5)
    assert (mine.friday_users, mine.friday_at_once) == (3, 2)
    assert mine.tenants == (Tenant("a", 2.0, "", 3.0), Tenant("b", 1.0, "sesame", 1.0, 10.0))


def test_fault_files_of_the_simulator_can_be_named() -> None:
    """Their shares add to the profile's, their windows to the scenario's."""
    mine = build_scenario("mine", {"fault_files": ["flaky", "quota-gone"], "faults": {"chat": {"reset": 0.2}}})

    assert mine.faults["chat"]["reset"] == 0.2
    assert mine.faults["chat"]["no_done"] == 0.005
    assert [(window.kind, window.from_s) for window in mine.windows] == [("insufficient_quota", 10.0)]


def test_every_mistake_is_told_at_once() -> None:
    """The key, its value and the remedy, for all of them."""
    found = _mistakes(
        {
            "usrs": 3,
            "users": 0,
            "over": "soon",
            "stream": "yes",
            "seed": True,
            "profile": "nope",
            "questions": {"mix": "random"},
            "tenants": [{"name": "a", "share": -1}, {"name": "a", "shre": 2}, {"name": "Bad name"}],
            "outages": [{"to": 3}],
        }
    )

    expected = [
        "usrs: there is no such key; did you mean users?",
        "users = 0: it must be greater than or equal to 1",
        "over = 'soon': write a duration like 5s, 500ms, 2m or 1h",
        "stream = 'yes': it must be a valid boolean",
        "seed = True: it must be a valid integer",
        "questions.mix = 'random': it must be 'even' or 'zipf'",
        "tenants[0].share = -1: it must be greater than 0",
        "tenants[1].shre: there is no such key; did you mean share?",
        "tenants[2].name = 'Bad name': string should match pattern",
        "tenants: 'a' is named 2 times",
        "outages[0].from: is missing",
        "profile: There is no profile 'nope'",
    ]
    for line in expected:
        assert any(mistake.startswith(line) for mistake in found), (line, found)
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"outages": [{"from": 5, "to": 15}, {"from": 12, "to": 20}]},
            "outages[1] (12 to 20 s) overlaps outages[0] (5 to 15 s) on chat",
        ),
        ({"outages": [{"from": 5}, {"from": "1m", "to": "2m"}]}, "overlaps outages[0] (5 to inf s)"),
        ({"brownouts": [{"from": 5, "to": 5}]}, "brownouts[0]: it ends at 5 s, before it begins at 5 s"),
        ({"outages": [{"from": 1, "to": 2, "kind": "resett"}]}, "did you mean reset?"),
        ({"outages": [{"from": 1, "to": 2, "kind": "no_done", "surfaces": ["vectors"]}]}, "only chat"),
        ({"faults": {"chat": {"reset": 0.6, "closed": 0.6}}}, "the shares add up to 1.2"),
        ({"faults": {"chat": {"rest": 0.1}}}, "faults.chat.rest: there is no such fault; did you mean reset?"),
        ({"faults": {"chat": {"reset": float("nan")}}}, "faults.chat.reset = nan"),
        ({"arrivals": "burst", "over": "5s"}, "in a burst all users come at once"),
        ({"arrivals": "replay"}, "replay: is missing"),
        ({"arrivals": "replay", "replay": "none.csv"}, "none.csv cannot be read (No such file or directory)"),
        ({"replay": "times.csv"}, 'with arrivals = "replay" only'),
        ({"provider": {"chat": {"rpm": 0}}}, "provider: chat.rpm = 0"),
        ({"provider": {"chat": {"tmp": 1}}}, "there is no field chat.tmp"),
        ({"fault_files": ["floky"]}, "There is no fault file 'floky'"),
        ({"over": float("inf")}, "over = inf"),
    ],
)
def test_what_cannot_be_is_named(content: dict[str, Any], words: str) -> None:
    """One mistake, one line, with a way out."""
    (line,) = _mistakes(content)

    assert words in line


def test_touching_windows_do_not_overlap() -> None:
    """One may begin as the other ends, and two APIs may fail at the same time."""
    windows = [
        {"from": 1, "to": 2},
        {"from": 2, "to": 3},
        {"from": 1, "to": 3, "surfaces": ["vectors"], "kind": "reset"},
    ]

    assert len(build_scenario("mine", {"outages": windows}).windows) == 3


def test_more_users_than_were_recorded(tmp_path: Path) -> None:
    """The file has two lines."""
    (tmp_path / "t.csv").write_text("1\n2\n")

    (line,) = _mistakes({"arrivals": "replay", "replay": "t.csv", "users": 3}, tmp_path)

    assert line == "users = 3: only 2 arrivals were recorded; leave it out, or give fewer"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tuesday", "no scenario 'tuesday'; choose from: monday, brownout, "),
        ("nowhere.toml", "nowhere.toml cannot be read: No such file"),
        (".", "no scenario '.'"),
        ("./", "cannot be read: Is a directory"),
    ],
)
def test_a_scenario_that_is_not_there(name: str, words: str) -> None:
    """A typing error costs one look."""
    with pytest.raises(InvalidRequest, match=words.replace("(", r"\(").replace(".'", r"\.'")):
        find_scenario(name)


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    """The message names the file and the line."""
    (tmp_path / "broken.toml").write_text("users = = 3\n")

    with pytest.raises(InvalidRequest, match=r"broken\.toml is not valid TOML: .*line 1"):
        find_scenario(str(tmp_path / "broken.toml"))


def test_a_server_of_ones_own_has_a_floor_of_slots() -> None:
    """Sixteen calls at a time of 2.68 s: 1,500 take 251 s, less what was free at the start, but for a second."""
    scenario = build_scenario("mine", {"profile": "vllm", "users": 1_500, "over": "60s"})

    floor = floor_for(scenario, CallTokens(prompt=1_006, answer=36))

    assert floor.bound == "slots"
    assert floor.seconds == pytest.approx(1_500 * 2.6782 / 16 - 1.6782, abs=0.05)
    shown = settings_of(scenario)
    assert (shown["rpm"], shown["tpm"]) == ("no limit", "no limit")
