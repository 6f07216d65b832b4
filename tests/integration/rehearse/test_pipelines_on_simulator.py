"""Pipelines and the storm against the real simulator, each in a process of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from rushhour.rehearse.crowd import Visited, visit_all
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.pipelines import PIPELINES, Site
from rushhour.rehearse.provider import Provider, simulated
from rushhour.rehearse.reply import Target
from rushhour.rehearse.scenario import BROWNOUT, Scenario, Window
from rushhour.rehearse.storm import storm
from rushhour.rehearse.visits import Visit

CALM = Scenario("calm", overrides=("chat.faults={}", "embeddings.faults={}", "vectors.faults={}"))


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    """Run a simulator in which nothing fails by itself."""
    async with simulated(CALM, os.environ, tmp_path) as running:
        yield running


@pytest.mark.parametrize(("name", "outcome"), [("naive", Outcome.FAILED), ("sdk", Outcome.ANSWERED)])
async def test_only_careful_people_survive_an_overload(
    provider: Provider, tmp_path: Path, name: str, outcome: Outcome
) -> None:
    """One 503 reaches the naive pipeline's user; the SDK's own retry hides it from the other's."""
    profile = (await provider.state())["profile"]
    pipeline = PIPELINES[name](Site(provider.url, os.environ, CALM, profile, tmp_path))
    seen: list[Visited] = []

    async with pipeline.serving(tmp_path) as served:
        once = {"fault": "overloaded", "surface": "embeddings", "count": 1}
        async with aiohttp.ClientSession() as session, session.post(f"{provider.url}/_sim/faults", json=once) as told:
            assert told.status == 200
        await visit_all(Target(served.base_url, served.model, "crowd", 30.0), [Visit(0, 0.0, "Why?", "")], seen.append)

    assert seen[0].outcome is outcome, seen
    assert (await provider.verdict(name)) is not None


async def test_a_storm_strikes_on_time_and_passes_with_a_reset(provider: Provider) -> None:
    """Shares at once, windows when they are due, all of it forgotten by the next reset."""
    monday = Scenario(
        "x",
        faults={"chat": {"reset": 0.25}},
        windows=(
            Window("overloaded", ("chat", "vectors"), 0.1, 60.0),
            Window(BROWNOUT, ("embeddings",), 0.1, 60.0, factor=5.0),
            Window("hang", ("chat",), 1_000.0, 2_000.0),
            Window("closed", ("chat",), 0.0, 60.0, built_in=True),
        ),
    )

    async def told() -> dict[str, list[str]]:
        surfaces = (await provider.faults())["surfaces"]
        return {name: [one["fault"] for one in surfaces[name]["told"]] for name in ("chat", "embeddings", "vectors")}

    async with storm(provider, monday):
        assert await told() == {"chat": ["reset"], "embeddings": [], "vectors": []}
        async with asyncio.timeout(20):
            while not all((await told()).values()):
                pass
        assert await told() == {
            "chat": ["reset", "overloaded"], "embeddings": [BROWNOUT], "vectors": ["overloaded"],
        }  # fmt: skip
    await provider.reset()

    assert not any((await told()).values())


async def test_the_simulator_is_watched(provider: Provider) -> None:
    """Its process is measured, and its answers to us are timed."""
    async with provider.watched() as watched, asyncio.timeout(20):
        while len(watched.waits) < 3:
            await provider.faults()

    assert watched.used.wall_s > 0
    assert watched.used.peak_rss_mb > 20
    assert all(wait > 0 for wait in watched.waits)
