"""A rehearsal on virtual time, from an empty folder to the figures: prepare, Friday, Monday, in this process."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import msgspec

from rushhour.assemble import System
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call
from rushhour.rag.documents.sources import python_manual as manual_sources
from rushhour.rehearse.corpus import Document, python_manual
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import CallTokens
from rushhour.rehearse.measure import friday_of, run_of
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.pipelines import COLLECTION, Pipeline, production
from rushhour.rehearse.pipelines import Site as Setting
from rushhour.rehearse.plan import floor_for, plan_visits
from rushhour.rehearse.provider import Account
from rushhour.rehearse.questions import Question, make_questions
from rushhour.rehearse.results import Friday, Ingestion, Rehearsal, Run
from rushhour.rehearse.scenario import USUAL, Scenario, quiet_day
from rushhour.rehearse.summary import Known, summarise
from rushhour.rehearse.virtual.catalog import RememberingCatalog
from rushhour.rehearse.virtual.crowd import Crowd
from rushhour.rehearse.virtual.progress import Progress
from rushhour.rehearse.virtual.simulator import DirectSimulator
from rushhour.rehearse.virtual.storm import storm
from rushhour.rehearse.virtual.systems import CLIENT, Site, open_systems, settings_of_pipeline
from rushhour.rehearse.virtual.usage import begun, limit_used
from rushhour.rehearse.virtual.vetted import vet
from rushhour.rehearse.watching import Watcher
from rushhour.simulator import Simulator, load_profile

MOST_OVER_THE_WIRE = 500
"""Users; larger crowds reach the chat model directly, since writing and reading JSON takes half of the time.

What they see differs by half a per cent in a rush, by one or two where nobody waits (`python -m benchmarks.virtual`).
A call that a fault strikes is written all the same.
"""
MOST_REPLICAS = 64

_NOWHERE = "http://simulated"
_COLLECT_EVERY = 1_000_000
"""Objects between two garbage collections: a crowd makes hardly any garbage that counting does not find."""


class VirtualPlay:
    """One rehearsal of the production pipeline; `report` can be asked at any time and tells what is known by then.

    Made and played on a `RehearsalLoop`. `direct` decides whether the chat model is reached without a wire; by default
    that is so for more than `MOST_OVER_THE_WIRE` users. The naive pipeline cannot be played so: it is made of threads
    and of the official SDK's sockets. Raises InvalidRequest for a number of replicas that cannot be.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        watcher: Watcher,
        command: str = "",
        replicas: int = 1,
        *,
        direct: bool | None = None,
    ) -> None:
        if not 1 <= replicas <= MOST_REPLICAS:
            raise InvalidRequest(f"--replicas is {replicas}; use from 1 to {MOST_REPLICAS}.", param="--replicas")
        self._scenario = scenario
        self._folder = folder
        self._watcher = watcher
        self._command = command
        self._replicas = replicas
        self._direct = scenario.users > MOST_OVER_THE_WIRE if direct is None else direct
        kind = DirectSimulator if self._direct else Simulator
        self._simulator = kind(load_profile(scenario.profile, scenario.overrides), seed=scenario.seed)
        self._profile = self._simulator.profile.as_json()
        self._corpus: list[Document] = []
        self._ingestion: list[Ingestion] = []
        self._friday: list[Friday] = []
        self._runs: list[Run] = []
        self._pipelines: list[Pipeline] = []
        self._chat_call: CallTokens | None = None
        self._limit_used: float | None = None
        self._asked = 0
        self._finished = False
        self._began = time.perf_counter()

    async def play(self) -> None:
        """Run it all; a cancellation leaves what is known by then to `report`."""
        self._simulator.open()
        async with AsyncExitStack() as closing:
            closing.enter_context(_seldom_collecting())
            catalog = await RememberingCatalog.open(self._folder / "catalog.sqlite3")
            closing.push_async_callback(catalog.aclose)
            pipeline = production(Setting(_NOWHERE, {}, self._scenario, self._profile, self._folder))
            self._pipelines = [pipeline]
            settings = settings_of_pipeline(pipeline)
            site = Site(settings, self._simulator.handle, catalog, self._scenario.seed, self._direct)
            await self._fill(site)
            self._watcher.step("Checking the questions")
            asked = self._choose()
            systems = await open_systems(site, self._replicas, closing)
            friday = self._scenario.friday_users
            await self._play_friday(systems, asked[:friday])
            await self._play_monday(systems, asked[friday:])
        self._finished = True

    def report(self) -> Rehearsal:
        """Return what is known by now; partial unless `play` came to its end."""
        known = summarise(
            Known(
                scenario=self._scenario,
                command=self._command,
                ingestion=self._ingestion,
                friday=self._friday,
                runs=self._runs,
                chat_call=self._chat_call,
                asked=self._asked,
                corpus=self._corpus,
                pipelines=self._pipelines,
                profile=self._profile,
                wall_s=time.perf_counter() - self._began,
                finished=self._finished,
            )
        )
        way = "directly, without JSON and token events" if self._direct else "over the wire, without sockets"
        told = {
            "time": "virtual, for production only: the others are threads and an SDK’s sockets",
            "replicas": self._replicas,
            "chat model reached": way,
        }
        return msgspec.structs.replace(
            known, settings={**known.settings, **told}, replicas=self._replicas, limit_used=self._limit_used
        )

    async def _fill(self, site: Site) -> None:
        """Ingest the manual with a system of its own, as the real rehearsal does with a process."""
        self._watcher.step("Filling the vectors with Python’s manual")
        self._corpus = python_manual()
        async with AsyncExitStack() as closing:
            (system,) = await open_systems(site, 1, closing, "ingestion")
            summary = await system.ingester.ingest(COLLECTION, manual_sources(), Call("shell"))
        account = Account(self._simulator.ledger(), CLIENT)
        self._ingestion = [
            Ingestion(
                pipeline=CLIENT,
                seconds=round(summary.seconds, 2),
                chunks=summary.chunks,
                embedding_calls=account.calls.embeddings,
                vector_calls=account.calls.vectors,
                throttled=account.throttled,
                tokens=account.tokens,
                cost_usd=round(account.cost_usd, 6),
                cpu_s=0.0,
            )
        ]

    def _choose(self) -> Sequence[Question]:
        """Return Friday's questions, then Monday's: those of the real rehearsal."""
        scenario = self._scenario
        wanted = min(scenario.questions, scenario.users) + scenario.friday_users
        candidates = make_questions(self._corpus, scenario.seed)
        return vet(self._corpus, candidates, wanted, self._simulator.profile.embeddings.dimensions)

    async def _play_friday(self, systems: Sequence[System], questions: Sequence[Question]) -> None:
        scenario = self._scenario
        if not scenario.friday_users:
            return
        self._watcher.step(f"Friday: {scenario.friday_users} users, {scenario.friday_at_once} at a time")
        self._simulator.reset()
        seen: list[Visited] = []
        crowd = Crowd(systems, scenario, seen.append)
        await crowd.visit_all(plan_visits(quiet_day(scenario), questions), scenario.friday_at_once)
        self._friday = [friday_of(CLIENT, seen)]
        self._chat_call = Account(self._simulator.ledger(), CLIENT).chat_call

    async def _play_monday(self, systems: Sequence[System], questions: Sequence[Question]) -> None:
        scenario = self._scenario
        self._watcher.step("Monday: the crowd gathers before production")
        visits = plan_visits(scenario, questions)
        self._asked = len(questions)
        self._simulator.reset()
        progress = Progress(self._watcher, CLIENT, scenario.users)
        try:
            async with storm(self._simulator, scenario):
                await Crowd(systems, scenario, progress.visited).visit_all(visits)
        finally:  # an interrupted Monday is told as far as it went
            self._tell_monday(progress.seen)

    def _tell_monday(self, seen: Sequence[Visited]) -> None:
        scenario = self._scenario
        account = Account(self._simulator.ledger(), CLIENT)
        run = run_of(CLIENT, scenario.users, seen, account, None, Measured(), scenario.tenants)
        verdict = self._simulator.verdict(CLIENT).get(CLIENT)
        self._runs = [msgspec.structs.replace(run, verdict=verdict)]
        limit = floor_for(scenario, self._chat_call or USUAL).limit
        admitted = self._admitted()
        passed = begun(admitted, limit.calls_per_s) if limit.name == "slots" else admitted
        self._limit_used = limit_used(seen, passed, limit.calls_per_s)

    def _admitted(self) -> Sequence[int]:
        """Return the chat calls that passed the limit, by the second; those that a fault struck may not have."""
        series: Sequence[int] = self._simulator.ledger()["series"].get("chat", {}).get(CLIENT, {}).get("accepted", ())
        return series


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage seldom: looking through a hundred thousand waiting users takes longer than serving them."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.unfreeze()
