"""`rushhour plan` from options to files, and the peak that it rehearses on virtual time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from rushhour.cli.plan import plan
from rushhour.errors import InvalidRequest
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.planning.provider import Provider, find_provider
from rushhour.rehearse.planning.simulate import Simulated, simulate, size_of
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import walls_of
from rushhour.rehearse.virtual.loop import run_rehearsal


class _Silent:
    """Watches without a word."""

    def step(self, text: str) -> None:
        """Begin a step."""

    def opens(self, pipeline: str, users: int) -> None:
        """Begin the peak."""

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Count a user."""


def _play(traffic: Traffic, provider: Provider, most: int) -> Simulated:
    size = size_of(traffic, walls_of(traffic, provider), most)
    return run_rehearsal(simulate(traffic, provider, size, _Silent()))


def test_arithmetic_alone(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables and verdict on the terminal, the same as JSON and as a page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    plan(users=1_000, over="5s", profile="monday", simulate=0, json=Path("plan.json"), report=Path("plan.html"))

    said = " ".join(capsys.readouterr().out.split())
    assert "chat requests ← the wall" in said
    assert "More replicas of rushhour do not help" in said
    told = json.loads(Path("plan.json").read_text())
    assert (told["floor_s"], told["wall"], told["holds"], told["simulated"]) == (20.0, "chat requests", True, None)
    assert told["command"] == ("rushhour plan --users 1000 --over 5s --profile monday --simulate 0")
    assert "at least 20 s" in Path("plan.html").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Say how many ask"),
        ({"users": 5, "profile": "mondy"}, "Did you mean monday?"),
        ({"users": 5, "profile": "none.toml"}, "none.toml' cannot be read"),
        ({"users": 5, "overrides": ["chat.rpm=0"]}, "chat.rpm"),
        ({"users": 5, "model": "no-such", "profile": "mine.toml"}, "has no such model; choose from only-one"),
        ({"users": 5, "prompt_tokens": 500_000}, "it can never pass"),
        ({"file": Path("none.toml")}, "none.toml cannot be read"),
        ({"users": 5, "json": Path("nowhere/plan.json")}, "Cannot write nowhere/plan.json"),
        ({"users": 5, "json": Path("plan.json"), "report": Path()}, "Cannot write .: Is a directory"),
    ],
)
def test_what_cannot_be_is_refused(
    options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is rehearsed; the message names the option or key, its value, and the remedy."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("[chat.models.only-one]\nrpm = 5\n")

    with pytest.raises(InvalidRequest) as caught:
        plan(**options)

    assert words in str(caught.value)
    assert capsys.readouterr().out == ""
    assert [file.name for file in tmp_path.iterdir()] == ["mine.toml"]


async def test_an_interrupted_plan_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the rehearsal: a word, a status, no traceback, no half a file."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rushhour.cli", "plan", "--users=20000", "--over=10s", "--simulate=20000"),
        *("--json=plan.json", "--report=plan.html"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        while "Monday" not in (line := (await process.stdout.readline()).decode()):
            assert line
        process.send_signal(signal.SIGINT)
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (process.returncode, said.decode().split()) == (130, ["interrupted"])
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


@pytest.mark.slow
def test_a_rehearsed_peak_keeps_close_to_its_floor() -> None:
    """Everybody is answered, nobody is refused, and the last one soon after the arithmetic says."""
    traffic = Traffic(users=600, over_s=5.0, answer_tokens=60)
    provider = find_provider("monday")

    seen = _play(traffic, provider, 2_000)

    assert (seen.answered, seen.refused, seen.unanswered) == (600, 0, 0)
    floor_s = walls_of(traffic, provider).floor_s
    assert floor_s <= seen.makespan_s <= 1.5 * floor_s
    assert seen.curve[0] == 0.0
    assert seen.curve[100] == seen.max_s


def test_who_is_answered_without_the_model_is_told() -> None:
    """A server of one's own that takes minutes for what is asked at once: most get quotations, and the plan says so."""
    seen = _play(Traffic(users=60, over_s=20.0), find_provider("ollama"), 2_000)

    assert seen.answered > 0
    assert 0 < seen.quoted <= seen.answered


@pytest.mark.slow
def test_longer_prompts_wait_longer_by_the_planned_ratio() -> None:
    """The rehearsal's own prompts are as long as ever; the limits are turned so that the planned ones count."""
    provider = find_provider("monday", overrides=["chat.tpm=3_000_000"])
    traffic = Traffic(users=300, over_s=3.0, prompt_tokens=4_000, answer_tokens=60)

    seen = _play(traffic, provider, 2_000)

    floor_s = walls_of(traffic, provider).floor_s
    assert floor_s == pytest.approx(300 * 4_000 / 50_000)
    assert seen.makespan_s == pytest.approx(floor_s, rel=0.25)


@pytest.mark.slow
def test_impatient_users_are_refused_and_a_tenth_tells_of_all() -> None:
    """A crowd that is ten times what the patience allows; played in full and to scale, the same share is refused."""
    provider = find_provider("monday", overrides=["chat.rpm=600"])
    traffic = Traffic(users=500, over_s=5.0, answer_tokens=60, patience_s=20.0)

    whole, part = _play(traffic, provider, 500), _play(traffic, provider, 100)

    assert part.scale == pytest.approx(0.2)
    assert whole.refused > 0
    assert part.refused / part.users == pytest.approx(whole.refused / whole.users, abs=0.15)
