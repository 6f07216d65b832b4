"""Playing the days: a quiet Friday for every pipeline, then a Monday for each, with a crowd's process before it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rushhour.rehearse.counting import percentile
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import CallTokens
from rushhour.rehearse.measure import friday_of, load_of, run_of
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.pipelines import Serving
from rushhour.rehearse.plan import plan_visits
from rushhour.rehearse.prepare import Asked
from rushhour.rehearse.processes import Child, running
from rushhour.rehearse.provider import Account, Provider, Watched
from rushhour.rehearse.results import Friday, Run
from rushhour.rehearse.scenario import Scenario, quiet_day
from rushhour.rehearse.storm import storm
from rushhour.rehearse.together import together
from rushhour.rehearse.visits import Visit, write_visits
from rushhour.rehearse.watching import Watcher

_CROWD_READY_S = 30.0


@dataclass(slots=True)
class Days:
    """What the days need, and what came of them so far; an interrupted Monday is told as far as it went.

    `chat_call` is what a chat call took on Friday, by the thriftiest pipeline.
    """

    scenario: Scenario
    provider: Provider
    questions: Asked
    env: Mapping[str, str]
    folder: Path
    watcher: Watcher
    friday: list[Friday] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    chat_call: CallTokens | None = None

    async def play_friday(self, serving: Sequence[Serving]) -> None:
        """Ask every pipeline a few questions at leisure, all of them at the same time."""
        scenario = self.scenario
        if not scenario.friday_users:
            return
        self.watcher.step(f"Friday: {scenario.friday_users} users, {scenario.friday_at_once} at a time")
        visits = plan_visits(quiet_day(scenario), self.questions.friday)
        await self.provider.reset()
        self.friday += await together(*(self._friday_of(served, visits) for served in serving))
        state = await self.provider.state()
        took = [call for served in serving if (call := Account(state, served.ledger).chat_call) is not None]
        if took:
            self.chat_call = CallTokens(min(call.prompt for call in took), min(call.answer for call in took))

    async def play_monday(self, serving: Sequence[Serving]) -> None:
        """Play the pipelines one after the other, each against full buckets; one that is done is stopped."""
        visits = plan_visits(self.scenario, self.questions.monday)
        for served in serving:
            self.watcher.step(f"Monday: the crowd gathers before {served.pipeline}")
            async with self._crowd(served, visits, "Monday") as crowd:
                await self.provider.reset()
                async with storm(self.provider, self.scenario):
                    await self._monday_of(served, crowd)
            if served.child is not None:
                await served.child.stop()

    async def _friday_of(self, served: Serving, visits: Sequence[Visit]) -> Friday:
        seen: list[Visited] = []
        async with self._crowd(served, visits, "Friday", at_once=self.scenario.friday_at_once) as crowd:
            crowd.go()
            while line := await crowd.line():
                seen.append(msgspec.json.decode(line, type=Visited))
            await crowd.finish()
        return friday_of(served.pipeline, seen)

    async def _monday_of(self, served: Serving, crowd: Child) -> None:
        seen: list[Visited] = []
        server: Measured | None = None
        load, watched = Measured(), Watched(Measured())
        self.watcher.opens(served.pipeline, self.scenario.users)
        try:
            async with self.provider.watched() as watched, crowd.measured() as load, _measured(served) as server:
                crowd.go()
                while line := await crowd.line():
                    visit = msgspec.json.decode(line, type=Visited)
                    seen.append(visit)
                    self.watcher.visited(served.pipeline, visit)
            await crowd.finish()
        finally:  # an interrupted Monday is told as far as it went
            account = Account(await self.provider.state(), served.ledger)
            run = run_of(
                served.pipeline,
                self.scenario.users,
                seen,
                account,
                server,
                load,
                self.scenario.tenants,
                load_of(watched.used, percentile(watched.waits, 99)),
            )
            verdict = await self.provider.verdict(served.ledger)
            self.runs.append(msgspec.structs.replace(run, verdict=verdict))

    @asynccontextmanager
    async def _crowd(
        self, served: Serving, visits: Sequence[Visit], day: str, at_once: int | None = None
    ) -> AsyncIterator[Child]:
        """Run a crowd's process while the block runs; it is ready and waits for the word."""
        plan = self.folder / f"{served.pipeline}-{day}-visits.json"
        await asyncio.to_thread(write_visits, plan, served.addressed(visits))
        argv = [
            sys.executable, "-m", "rushhour.rehearse.crowd", "--base-url", served.base_url, "--model", served.model,
            "--api-key", served.api_key, "--patience", str(self.scenario.patience_s), "--plan", str(plan),
        ]  # fmt: skip
        if not self.scenario.stream:
            argv += ["--whole"]
        if not self.scenario.obeys:
            argv += ["--stubborn"]
        if at_once:
            argv += ["--at-once", str(at_once)]
        async with running(f"{served.pipeline} {day} crowd", argv, self.env, self.folder) as child:
            await child.ready_line(_CROWD_READY_S)
            yield child


@asynccontextmanager
async def _measured(served: Serving) -> AsyncIterator[Measured | None]:
    if served.child is None:  # somebody's own app: not ours to measure
        yield None
        return
    async with served.child.measured() as figures:
        yield figures
