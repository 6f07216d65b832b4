"""A whole rehearsal on virtual time: deterministic, honest when interrupted, and clean about what it leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rushhour.assemble import System
from rushhour.errors import InvalidRequest
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.results import Rehearsal
from rushhour.rehearse.scenario import Scenario, Tenant, Window, change
from rushhour.rehearse.scenario_file import build_scenario, find_scenario
from rushhour.rehearse.virtual.loop import run_rehearsal
from rushhour.rehearse.virtual.play import VirtualPlay


class _Watching:
    """Counts what it is told, and perhaps interrupts."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.visits = 0
        self._interrupt_after = interrupt_after

    def step(self, text: str) -> None:
        """Begin a step."""

    def opens(self, pipeline: str, users: int) -> None:
        """Begin a Monday."""

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Count a user."""
        self.visits += 1
        if self.visits == self._interrupt_after:
            os.kill(os.getpid(), signal.SIGINT)


def _played(folder: Path, scenario: Scenario, replicas: int = 1, *, direct: bool = False) -> Rehearsal:
    folder.mkdir()

    async def rehearse() -> Rehearsal:
        play = VirtualPlay(scenario, folder, _Watching(), "", replicas, direct=direct)
        await play.play()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return play.report()

    return run_rehearsal(rehearse())


def _figures(told: Rehearsal) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(told, wall_s=0.0, made_at=0))


def _monday(users: int, **changes: Any) -> Scenario:
    return change(find_scenario("monday"), users=users, **changes)


@pytest.mark.parametrize(("replicas", "direct"), [(1, False), (4, False), (4, True)])
def test_a_seed_decides_every_figure(tmp_path: Path, replicas: int, direct: bool) -> None:
    """Two rehearsals of one seed are the same to the byte, and everybody is served."""
    one = _played(tmp_path / "one", _monday(300, over_s=1.0), replicas, direct=direct)
    other = _played(tmp_path / "other", _monday(300, over_s=1.0), replicas, direct=direct)

    assert _figures(one) == _figures(other)
    assert one.runs[0].answered == 300
    assert (one.replicas, one.partial) == (replicas, False)
    assert one.limit_used is not None
    assert 0.9 < one.limit_used < 1.05


@pytest.mark.parametrize("replicas", [1, 8])
def test_a_sudden_rush_on_many_replicas_lets_in_whom_the_limit_can_serve(tmp_path: Path, replicas: int) -> None:
    """Three times as many as patience allows, in two seconds: the doors of all replicas know what each has let in."""
    rush = replace(_monday(1_500, over_s=2.0), patience_s=10.0)

    run = _played(tmp_path / "rush", rush, replicas, direct=True).runs[0]

    assert run.wrong == 0
    assert run.answered + run.refused >= 1_500 * 0.998  # nobody else was let in, to wait in vain
    assert sum(run.degraded.values()) <= 1_500 * 0.02  # who was slow on the way
    assert run.refused_first >= 900


def test_who_comes_back_as_told_by_one_of_many_replicas_is_served(tmp_path: Path) -> None:
    """Sixteen replicas send away nine of ten; together they name no more places than the limit has."""
    rush = replace(_monday(6_000, over_s=2.0), patience_s=10.0)

    run = _played(tmp_path / "rush", rush, 16, direct=True).runs[0]

    assert run.returned.users >= 5_000
    assert run.returned.answered >= run.returned.users * 0.998


def test_a_load_balancer_that_favours_one_replica_costs_nobody_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of thirteen questions come to one of four replicas, which gets as much of the limit."""

    def deal(systems: Sequence[System]) -> Iterator[System]:
        return cycle([system for system, share in zip(systems, (10, 1, 1, 1), strict=True) for _ in range(share)])

    monkeypatch.setattr("rushhour.rehearse.virtual.crowd.cycle", deal)
    rush = replace(_monday(1_500, over_s=2.0), patience_s=10.0)

    run = _played(tmp_path / "rush", rush, 4, direct=True).runs[0]

    assert run.wrong == 0
    assert run.answered >= 1_500 * 0.998
    assert sum(run.degraded.values()) <= 1_500 * 0.01
    assert run.makespan_s <= 1.25 * 1_500 / 50


def test_another_seed_is_another_monday(tmp_path: Path) -> None:
    """The seed is used."""
    one, other = (_played(tmp_path / str(seed), _monday(60, seed=seed)) for seed in (1, 2))

    assert one.runs[0].p50_s != other.runs[0].p50_s


def test_the_direct_way_tells_what_the_wire_tells(tmp_path: Path) -> None:
    """Without JSON and token events the waits are the same within a few percent."""
    wire = _played(tmp_path / "wire", _monday(400)).runs[0]
    direct = _played(tmp_path / "direct", _monday(400), direct=True).runs[0]

    assert direct.p50_s == pytest.approx(wire.p50_s, rel=0.05)
    assert direct.p95_s == pytest.approx(wire.p95_s, rel=0.05)
    assert direct.tokens == pytest.approx(wire.tokens, rel=0.02)
    assert direct.provider_calls.chat == pytest.approx(wire.provider_calls.chat, rel=0.02)


@pytest.mark.parametrize("direct", [False, True])
def test_faults_strike_and_nobody_sees_them(tmp_path: Path, direct: bool) -> None:
    """Cut streams, resets and error pages reach the real adapter either way: no answer is wrong or cut short."""
    shares = dict.fromkeys(("cut", "truncated_body", "sse_error", "reset", "bad_gateway", "no_done"), 0.05)
    told = _played(tmp_path / "flaky", replace(_monday(150), faults={"chat": shares}), direct=direct)

    run = told.runs[0]
    assert run.wrong == 0
    assert run.answered + run.refused + sum(run.errors.values()) == 150
    assert run.provider_calls.chat > 155
    assert run.verdict is not None


def test_windows_and_tenants_are_played(tmp_path: Path) -> None:
    """An outage at its time makes waits longer; each tenant has its own line."""
    tenants = (Tenant("acme"), Tenant("globex"))
    outage = Window("server_error", ("chat",), 0.0, 4.0)
    calm = _played(tmp_path / "calm", replace(_monday(60), tenants=tenants))
    struck = _played(tmp_path / "struck", replace(_monday(60), tenants=tenants, windows=(outage,)))

    assert [tenant.users for tenant in struck.runs[0].tenants] == [30, 30]
    assert struck.runs[0].makespan_s > calm.runs[0].makespan_s


def test_an_interrupted_monday_is_told_as_far_as_it_went(tmp_path: Path) -> None:
    """Ctrl-C leaves a partial report of those who were done."""
    told: list[Rehearsal] = []

    async def rehearse() -> None:
        play = VirtualPlay(_monday(300), tmp_path, _Watching(interrupt_after=100))
        try:
            await play.play()
        finally:
            told.append(play.report())

    with pytest.raises(KeyboardInterrupt):
        run_rehearsal(rehearse())

    assert told[0].partial
    assert told[0].runs[0].partial
    assert 100 <= told[0].runs[0].answered < 300


def test_impossible_replicas_are_refused(tmp_path: Path) -> None:
    """The message names the option and what it may be."""

    async def rehearse() -> None:
        VirtualPlay(_monday(10), tmp_path, _Watching(), replicas=0)

    with pytest.raises(InvalidRequest, match=r"--replicas is 0; use from 1 to"):
        run_rehearsal(rehearse())


async def test_the_command_line_plays_virtually(tmp_path: Path) -> None:
    """`rushhour rehearse --virtual` writes report and figures, and knows what it cannot play."""
    figures = tmp_path / "figures.json"
    options = ("--virtual", "--replicas=2", "--users=40", f"--json={figures}", f"--report={tmp_path / 'page.html'}")

    status, said = await _rushhour(*options)
    refused, why = await _rushhour("--virtual", "--pipelines=naive")

    assert status == 0, said
    told = msgspec.json.decode(await asyncio.to_thread(figures.read_bytes))
    assert (told["replicas"], told["runs"][0]["pipeline"], told["partial"]) == (2, "production", False)
    assert "--virtual --replicas 2" in told["command"]
    assert refused != 0
    assert "production only" in why


async def test_no_sdk_is_loaded() -> None:
    """The naive pipeline plays no part, so nobody waits for the import of its SDK."""
    code = "import sys, rushhour.rehearse.virtual.play; sys.exit('openai' in sys.modules)"

    assert await asyncio.to_thread(subprocess.call, [sys.executable, "-c", code]) == 0


async def _rushhour(*options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rushhour.cli", "rehearse", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def test_a_server_that_takes_turns_is_used_up(tmp_path: Path) -> None:
    """200 users of 16 slots are done within a call's time of the floor, and the floor says what holds them up."""
    scenario = build_scenario("mine", {"profile": "vllm", "users": 200, "over": "5s"})

    told = _played(tmp_path / "one", scenario)

    assert told.runs[0].answered == 200
    assert (told.floor.bound, told.floor.slots) == ("slots", 16)
    assert told.floor.work_s is not None
    assert told.floor.work_s == pytest.approx(2.68, abs=0.1)
    assert told.floor_s - 1.0 < told.runs[0].makespan_s < told.floor_s + 2 * told.floor.work_s
    assert told.limit_used is not None
    assert 0.9 < told.limit_used <= 1.0
