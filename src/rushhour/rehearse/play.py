"""The whole rehearsal, from an empty folder to the figures: prepare, Friday, then a Monday for each pipeline."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from rushhour.clock import unix_now
from rushhour.rehearse.corpus import Document, python_manual
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.measure import friday_of, run_of
from rushhour.rehearse.pipelines import PIPELINES, Pipeline, Serving, Site
from rushhour.rehearse.processes import Child, ChildFailed, Measured, running
from rushhour.rehearse.provider import Account, Provider, simulated
from rushhour.rehearse.questions import Question, make_questions
from rushhour.rehearse.results import Friday, Ingestion, Rehearsal, Run
from rushhour.rehearse.scenario import Scenario, settings_of
from rushhour.rehearse.vetting import answerable
from rushhour.rehearse.visits import Visit, plan_visits, write_visits
from rushhour.rehearse.watching import Watcher

_CROWD_READY_S = 30.0
_SPARE = 1.25
"""Candidates a wanted question: about one in ten does not survive the check."""

_OURS = ("RUSHHOUR_", "OPENAI_", "PINECONE_", "NAIVE_")


class Play:
    """One rehearsal; `report` can be asked at any time and tells what is known by then."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        watcher: Watcher,
        command: str = "",
        pipelines: Sequence[str] = tuple(PIPELINES),
    ) -> None:
        self._names = pipelines
        self._scenario = scenario
        self._folder = folder
        self._watcher = watcher
        self._command = command
        self._env = _clean(os.environ)
        self._corpus: list[Document] = []
        self._questions: list[Question] = []
        self._ingestion: list[Ingestion] = []
        self._friday: list[Friday] = []
        self._runs: list[Run] = []
        self._profile: Mapping[str, Mapping[str, object]] = {}
        self._finished = False
        self._began = asyncio.get_running_loop().time()

    async def play(self) -> None:
        """Run it all; raises ChildFailed, naming the process and the end of its log."""
        self._watcher.step("Starting the simulated provider")
        async with simulated(self._scenario, self._env, self._folder) as provider:
            self._profile = (await provider.state())["profile"]
            site = Site(provider.url, self._env, self._scenario, self._profile, self._folder)
            pipelines = [PIPELINES[name](site) for name in self._names]
            await self._fill(provider, pipelines)
            async with AsyncExitStack() as stack:
                self._watcher.step("Starting the servers, checking the questions")
                *serving, self._questions = await together(
                    *(stack.enter_async_context(pipeline.serving(self._folder)) for pipeline in pipelines),
                    self._vet(provider),
                )
                await self._play_friday(provider, serving)
                await self._play_monday(provider, serving)
        self._finished = True

    def report(self) -> Rehearsal:
        """Return what is known by now; partial unless `play` came to its end."""
        scenario = self._scenario
        return Rehearsal(
            scenario=scenario.name,
            users=scenario.users,
            floor_s=round(scenario.floor_s, 3),
            limit_per_s=round(scenario.limit_per_s, 3),
            burst_credit_s=round(scenario.burst_credit_s, 3),
            runs=self._runs,
            ingestion=self._ingestion,
            friday=self._friday,
            questions=self._asked_on_monday(),
            settings=settings_of(scenario),
            provider=_shown(self._profile),
            corpus={
                "corpus": "Python’s language reference (pydoc_data.topics)",
                "topics": len(self._corpus),
                "characters": sum(len(document.text) for document in self._corpus),
                "different_questions": self._asked_on_monday(),
            },
            machine={
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
                "cores": psutil.cpu_count() or 0,
            },
            wall_s=round(asyncio.get_running_loop().time() - self._began, 1),
            partial=not self._finished,
            version=version("rushhour"),
            made_at=unix_now(),
            command=self._command,
        )

    def _asked_on_monday(self) -> int:
        return max(len(self._questions) - self._scenario.friday_users, 0)

    async def _fill(self, provider: Provider, pipelines: Sequence[Pipeline]) -> None:
        self._watcher.step("Filling both pipelines’ vectors with Python’s manual")
        self._corpus = python_manual()
        self._ingestion = await together(*(self._ingest(provider, pipeline) for pipeline in pipelines))

    async def _vet(self, provider: Provider) -> list[Question]:
        """Return the questions: first those of Friday, which nobody asks again, then those of Monday."""
        scenario = self._scenario
        candidates = await asyncio.to_thread(make_questions, self._corpus, scenario.seed)
        wanted = min(scenario.questions, scenario.users) + scenario.friday_users
        try:
            return await answerable(provider.url, candidates[: int(wanted * _SPARE) + 10], wanted)
        except aiohttp.ClientError as cause:
            raise ChildFailed(f"The simulated provider could not be asked about the questions: {cause!r}") from cause

    async def _ingest(self, provider: Provider, pipeline: Pipeline) -> Ingestion:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with pipeline.ingesting(self._folder) as child:
            async with child.measured() as used:
                said = await child.last_line()
                await child.finish()
            seconds = loop.time() - began
        account = Account(await provider.state(), pipeline.name)
        told = _object(said)
        return Ingestion(
            pipeline=pipeline.name,
            seconds=round(seconds, 2),
            chunks=told.get("chunks", account.embedded),
            lost=told.get("lost", 0),
            embedding_calls=account.calls.embeddings,
            vector_calls=account.calls.vectors,
            throttled=account.throttled,
            tokens=account.tokens,
            cost_usd=round(account.cost_usd, 6),
            cpu_s=round(used.cpu_s, 2),
            at_once=pipeline.at_once,
        )

    async def _play_friday(self, provider: Provider, serving: Sequence[Serving]) -> None:
        scenario = self._scenario
        quiet = replace(scenario, users=max(scenario.friday_users, 1), over_s=0.0)
        if not scenario.friday_users:
            return
        self._watcher.step(f"Friday: {scenario.friday_users} users, {scenario.friday_at_once} at a time")
        visits = plan_visits(quiet, self._questions[: scenario.friday_users])
        await provider.reset()
        self._friday = await together(*(self._friday_of(served, visits) for served in serving))

    async def _friday_of(self, served: Serving, visits: Sequence[Visit]) -> Friday:
        seen: list[Visited] = []
        async with self._crowd(served, visits, "Friday", at_once=self._scenario.friday_at_once) as crowd:
            crowd.go()
            while line := await crowd.line():
                seen.append(msgspec.json.decode(line, type=Visited))
            await crowd.finish()
        return friday_of(served.pipeline, seen)

    async def _play_monday(self, provider: Provider, serving: Sequence[Serving]) -> None:
        """Play the pipelines one after the other, each against full buckets; one that is done is stopped."""
        visits = plan_visits(self._scenario, self._questions[self._scenario.friday_users :])
        for served in serving:
            self._watcher.step(f"Monday: the crowd gathers before {served.pipeline}")
            async with self._crowd(served, visits, "Monday") as crowd:
                await provider.reset()
                await self._monday_of(provider, served, crowd)
            await served.child.stop()

    async def _monday_of(self, provider: Provider, served: Serving, crowd: Child) -> None:
        seen: list[Visited] = []
        server, load = Measured(), Measured()
        self._watcher.opens(served.pipeline, self._scenario.users)
        try:
            async with served.child.measured() as server, crowd.measured() as load:
                crowd.go()
                while line := await crowd.line():
                    visit = msgspec.json.decode(line, type=Visited)
                    seen.append(visit)
                    self._watcher.visited(served.pipeline, visit)
            await crowd.finish()
        finally:  # an interrupted Monday is told as far as it went
            account = Account(await provider.state(), served.pipeline)
            self._runs.append(run_of(served.pipeline, self._scenario.users, seen, account, server, load))

    @asynccontextmanager
    async def _crowd(
        self, served: Serving, visits: Sequence[Visit], day: str, at_once: int | None = None
    ) -> AsyncIterator[Child]:
        """Run a crowd's process while the block runs; it is ready and waits for the word."""
        name = f"{served.pipeline} {day} crowd"
        plan = self._folder / f"{served.pipeline}-{day}-visits.json"
        await asyncio.to_thread(write_visits, plan, visits)
        argv = [
            sys.executable, "-m", "rushhour.rehearse.crowd", "--base-url", served.base_url, "--model", served.model,
            "--patience", str(self._scenario.patience_s), "--plan", str(plan),
        ]  # fmt: skip
        if not self._scenario.stream:
            argv += ["--whole"]
        if at_once:
            argv += ["--at-once", str(at_once)]
        async with running(name, argv, self._env, self._folder) as child:
            await child.ready_line(_CROWD_READY_S)
            yield child


async def together(*jobs: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run all at once and return their results in order; the first failure ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would point a pipeline anywhere else, and proxies, since everything is on this machine."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OURS) and not name.lower().endswith("_proxy")
    }


def _object(line: bytes) -> dict[str, int]:
    try:
        return msgspec.json.decode(line, type=dict[str, int])
    except msgspec.MsgspecError:
        return {}


def _shown(profile: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Pick the limits, speeds and faults that a reader wants to see."""
    shown: dict[str, object] = {}
    for surface in ("chat", "embeddings", "vectors"):
        part = profile.get(surface, {})
        for name in ("rpm", "tpm", "burst_s", "query_per_s", "upsert_per_s", "price_in", "price_out"):
            if part.get(name) is not None:
                shown[f"{surface} {name}"] = part[name]
        latency = part.get("latency")
        if isinstance(latency, Mapping):
            shown[f"{surface} median latency (s)"] = latency["median_s"]
        faults = part.get("faults")
        if isinstance(faults, Mapping) and faults:
            shown[f"{surface} faults"] = ", ".join(f"{name} {share:.1%}" for name, share in faults.items())
    return shown
