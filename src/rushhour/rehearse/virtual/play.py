"""A rehearsal on virtual time, from an empty folder to the figures: prepare, Friday, Monday, in this process."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack, asynccontextmanager
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from rushhour.assemble import System
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.flow.call import Call
from rushhour.rag.sources import python_manual as manual_sources
from rushhour.rehearse.corpus import Document, python_manual
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.measure import friday_of, run_of
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.pipelines import COLLECTION, Pipeline, Site as Where, production
from rushhour.rehearse.plan import plan_visits
from rushhour.rehearse.provider import Account
from rushhour.rehearse.questions import Question, make_questions
from rushhour.rehearse.results import Friday, Ingestion, Rehearsal, Run
from rushhour.rehearse.scenario import BROWNOUT, Scenario, Window, quiet_day
from rushhour.rehearse.summary import Known, summarise
from rushhour.rehearse.virtual.crowd import Crowd
from rushhour.rehearse.virtual.systems import CLIENT, Site, open_systems, settings_of_pipeline
from rushhour.rehearse.virtual.vetted import vet
from rushhour.rehearse.watching import Watcher
from rushhour.simulator import Simulator, load_profile
from rushhour.simulator.faults.orders import Order


class VirtualPlay:
    def __init__(self, scenario: Scenario, folder: Path, watcher: Watcher, command: str = "", replicas: int = 1) -> None:
        self._scenario = scenario
        self._folder = folder
        self._watcher = watcher
        self._command = command
        self._replicas = replicas
        self._began = time.perf_counter()
        self._simulator = Simulator(load_profile(scenario.profile, scenario.overrides), seed=scenario.seed)
        self._corpus: list[Document] = []
        self._ingestion: list[Ingestion] = []
        self._friday: list[Friday] = []
        self._runs: list[Run] = []
        self._pipelines: list[Pipeline] = []
        self._tokens_per_call: float | None = None
        self._asked = 0
        self._finished = False

    async def play(self) -> None:
        simulator = self._simulator
        simulator.open()
        async with AsyncExitStack() as closing:
            t0 = time.perf_counter()
            catalog = await SqliteCatalog.open(self._folder / "catalog.sqlite3")
            closing.push_async_callback(catalog.aclose)
            where = Where("http://simulated", {}, self._scenario, simulator.profile.as_json(), self._folder)
            pipeline = production(where)
            self._pipelines = [pipeline]
            site = Site(settings_of_pipeline(pipeline), simulator.handle, catalog, self._scenario.seed)
            await self._ingest(site)
            t1 = time.perf_counter(); print("ingest", t1 - t0)
            asked = self._choose()
            t2 = time.perf_counter(); print("choose", t2 - t1)
            friday, monday = asked[:self._scenario.friday_users], asked[self._scenario.friday_users:]
            systems = await open_systems(site, self._replicas, closing)
            await self._play_friday(systems, friday)
            t3 = time.perf_counter(); print("friday", t3 - t2)
            await self._play_monday(systems, monday)
            t4 = time.perf_counter(); print("monday", t4 - t3)
        self._finished = True

    async def _ingest(self, site: Site) -> None:
        self._corpus = python_manual()
        async with AsyncExitStack() as closing:
            (system,) = await open_systems(site, 1, closing, "ingestion")
            print(await system.ingester.ingest(COLLECTION, manual_sources(), Call("shell")))

    def _choose(self) -> Sequence[Question]:
        s = self._scenario
        candidates = make_questions(self._corpus, s.seed)
        wanted = min(s.questions, s.users) + s.friday_users
        return vet(self._corpus, candidates, wanted, self._simulator.profile.embeddings.dimensions)

    async def _play_friday(self, systems, questions) -> None:
        self._simulator.reset()
        seen = []
        await Crowd(systems, self._scenario, seen.append).visit_all(plan_visits(quiet_day(self._scenario), questions), self._scenario.friday_at_once)
        self._friday = [friday_of("production", seen)]
        self._tokens_per_call = Account(self._simulator.ledger(), CLIENT).tokens_per_chat_call

    async def _play_monday(self, systems, questions) -> None:
        self._asked = len(questions)
        visits = plan_visits(self._scenario, questions)
        seen = []
        self._simulator.reset()
        try:
            await Crowd(systems, self._scenario, seen.append).visit_all(visits)
        finally:
            account = Account(self._simulator.ledger(), CLIENT)
            run = run_of("production", self._scenario.users, seen, account, None, Measured(), self._scenario.tenants)
            self._runs = [run]

    def report(self) -> Rehearsal:
        return summarise(Known(scenario=self._scenario, command=self._command, ingestion=self._ingestion, friday=self._friday, runs=self._runs,
            tokens_per_call=self._tokens_per_call, asked=self._asked, corpus=self._corpus, pipelines=self._pipelines, profile=self._simulator.profile.as_json(), wall_s=time.perf_counter()-self._began, finished=self._finished))
