"""What a virtual rehearsal reads and reckons: the settings of the real one, and how much of the limit was used."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushhour import settings
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.pipelines import Site, production
from rushhour.rehearse.planning.provider import find_provider
from rushhour.rehearse.planning.simulate import overrides_for, size_of
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import walls_of
from rushhour.rehearse.scenario import Tenant, change
from rushhour.rehearse.scenario_file import find_scenario
from rushhour.rehearse.virtual.systems import settings_of_pipeline
from rushhour.rehearse.virtual.usage import begun, limit_used
from rushhour.settings import ChatSettings
from rushhour.simulator import load_profile
from rushhour.simulator.profile_files import shipped


def test_settings_are_those_of_the_real_rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server started with the pipeline's environment reads the very same."""
    scenario = change(find_scenario("monday"), tenants=(Tenant("acme", weight=2.0), Tenant("globex")))
    pipeline = production(Site("http://simulated", {}, scenario, load_profile("monday").as_json(), tmp_path))
    ours = settings_of_pipeline(pipeline)
    for name, value in pipeline.env.items():
        monkeypatch.setenv(name, value)

    assert ours == settings.load()


@pytest.mark.parametrize("profile", shipped())
def test_every_shipped_profile_becomes_settings(profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, and as a plan changes it; what nobody counts up to is no limit."""
    provider, traffic = find_provider(profile), Traffic(users=200, over_s=60.0)
    planned = overrides_for(traffic, provider, size_of(traffic, walls_of(traffic, provider), 2_000))
    for overrides in ((), planned):
        stated = load_profile(profile, overrides)
        pipeline = production(Site("http://simulated", {}, find_scenario("monday"), stated.as_json(), tmp_path))
        ours = settings_of_pipeline(pipeline)
        with monkeypatch.context() as environment:
            for name, value in pipeline.env.items():
                environment.setenv(name, value)
            assert ours == settings.load()

        assert ours.chat.concurrency == (stated.chat.latency.slots or ChatSettings().concurrency)
        assert ours.chat.rpm == (stated.chat.rpm if stated.chat.rpm < 1e12 else None)
        assert ours.chat.tpm == (stated.chat.tpm if stated.chat.tpm < 1e12 else None)
        assert ours.embed.tpm == (stated.embeddings.tpm if stated.embeddings.tpm < 1e12 else None)
        assert ours.vectors.qps == stated.vectors.query_per_s


def test_this_processs_environment_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or a limit of the person who rehearses changes nothing."""
    pipeline = production(
        Site("http://simulated", {}, find_scenario("monday"), load_profile("monday").as_json(), tmp_path)
    )
    before = settings_of_pipeline(pipeline)
    monkeypatch.setenv("RUSHHOUR_CHAT__RPM", "1")
    monkeypatch.setenv("RUSHHOUR_CHAT__HEDGE", "0")

    assert settings_of_pipeline(pipeline) == before


def _visits(users: int, waits: float) -> list[Visited]:
    return [Visited(n, 0.0, 0.0, waits, Outcome.ANSWERED, first_s=waits) for n in range(users)]


def test_the_limit_used_counts_seconds_with_demand_only() -> None:
    """The last second, when hardly anybody waits, does not count against it."""
    assert limit_used(_visits(100, 12.0), [10, 9, 8, 9, 10, 9, 9, 9, 9, 9, 9], 10.0) == pytest.approx(0.91, abs=0.02)


def test_without_demand_nothing_is_said() -> None:
    """A calm morning does not tell how much of a limit could be used."""
    assert limit_used(_visits(5, 2.0), [5, 0], 10.0) is None
    assert limit_used([], [], 10.0) is None


def test_those_who_left_are_no_demand() -> None:
    """Users who were refused at once do not wait for the limit."""
    refused = [Visited(n, 0.0, 0.0, 0.1, Outcome.REFUSED) for n in range(1000)]

    assert limit_used(refused, [0, 0, 0, 0], 10.0) is None


def test_calls_before_a_server_begin_at_its_pace() -> None:
    """Of 30 that come in the first second 10 begin, and the others in the seconds after it."""
    assert begun([30, 0, 5, 0, 2, 9], 10.0) == [10.0, 10.0, 10.0, 5.0, 2.0, 9.0]


def test_a_burst_that_a_server_lets_in_does_not_use_more_than_all_of_it() -> None:
    """100 users, of whom all are let in at once, or 50: served at ten a second, from the second after they came."""
    visits = _visits(100, 10.0)

    assert limit_used(visits, begun([100, *[0] * 9], 10.0), 10.0) == 1.0
    assert limit_used(visits, begun([50, *[0] * 9], 10.0), 10.0) == pytest.approx(4 / 9, abs=1e-4)
