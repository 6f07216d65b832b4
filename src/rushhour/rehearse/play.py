"""The whole rehearsal, from an empty folder to the figures: prepare, Friday, then a Monday for each pipeline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rushhour.errors import InvalidRequest
from rushhour.rehearse.corpus import Document, python_manual
from rushhour.rehearse.days import Days
from rushhour.rehearse.pipelines import PIPELINES, USUAL, Pipeline, Site
from rushhour.rehearse.prepare import Asked, choose_questions, ingest
from rushhour.rehearse.provider import Provider, simulated
from rushhour.rehearse.questions import Question
from rushhour.rehearse.results import Ingestion, Rehearsal
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.summary import Known, summarise
from rushhour.rehearse.target import App, check_port, how_to_point, meet
from rushhour.rehearse.together import together
from rushhour.rehearse.watching import Watcher

MOST_ON_SOCKETS = 20_000
"""Users; more would measure this machine's sockets rather than a pipeline."""

_OURS = ("RUSHHOUR_", "OPENAI_", "PINECONE_", "NAIVE_")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: pipelines of ours by name, and perhaps an app of somebody's own, which finds the provider at a port.

    `questions` are asked instead of those about the manual.
    """

    pipelines: Sequence[str] = USUAL
    app: App | None = None
    provider_port: int = 0
    questions: Sequence[Question] = ()


class Play:
    """One rehearsal; `report` can be asked at any time and tells what is known by then."""

    def __init__(
        self, scenario: Scenario, folder: Path, watcher: Watcher, command: str = "", cast: Cast | None = None
    ) -> None:
        if scenario.users > MOST_ON_SOCKETS:
            raise InvalidRequest(
                f"Scenario {scenario.name}: users is {scenario.users:,}; use at most {MOST_ON_SOCKETS:,}: more would "
                "measure this machine's sockets. `--virtual` plays more.",
                param="users",
            )
        self._cast = cast or Cast()
        if self._cast.app is not None:
            check_port(self._cast.provider_port)
        self._scenario = scenario
        self._folder = folder
        self._watcher = watcher
        self._command = command
        self._env = _clean(os.environ)
        self._corpus: list[Document] = []
        self._ingestion: list[Ingestion] = []
        self._pipelines: list[Pipeline] = []
        self._days: Days | None = None
        self._profile: Mapping[str, Mapping[str, object]] = {}
        self._finished = False
        self._began = asyncio.get_running_loop().time()

    async def play(self) -> None:
        """Run it all; raises ChildFailed, naming the process and the end of its log, and TargetUnfit."""
        self._watcher.step("Starting the simulated provider")
        port = self._cast.provider_port
        async with simulated(self._scenario, self._env, self._folder, port) as provider:
            self._profile = (await provider.state())["profile"]
            site = Site(provider.url, self._env, self._scenario, self._profile, self._folder)
            self._pipelines = [PIPELINES[name](site) for name in self._cast.pipelines]
            await self._meet(provider)
            await self._fill(provider, site)
            async with AsyncExitStack() as stack:
                self._watcher.step("Starting the servers, checking the questions")
                *serving, asked = await together(
                    *(stack.enter_async_context(pipeline.serving(self._folder)) for pipeline in self._pipelines),
                    self._choose(provider),
                )
                if self._cast.app is not None:
                    serving.append(self._cast.app.serving(self._scenario))
                self._days = Days(self._scenario, provider, asked, self._env, self._folder, self._watcher)
                await self._days.play_friday(serving)
                await self._days.play_monday(serving)
        self._finished = True

    def report(self) -> Rehearsal:
        """Return what is known by now; partial unless `play` came to its end."""
        days = self._days
        return summarise(
            Known(
                scenario=self._scenario,
                command=self._command,
                ingestion=self._ingestion,
                friday=days.friday if days else [],
                runs=days.runs if days else [],
                chat_call=days.chat_call if days else None,
                asked=len(days.questions.monday) if days else 0,
                corpus=self._corpus,
                pipelines=self._pipelines,
                profile=self._profile,
                wall_s=asyncio.get_running_loop().time() - self._began,
                finished=self._finished,
            )
        )

    async def _meet(self, provider: Provider) -> None:
        if (app := self._cast.app) is not None:
            self._watcher.step(f"Looking for your app at {app.base_url}. {how_to_point(provider.url)}")
            await meet(app, provider, self._scenario)

    async def _fill(self, provider: Provider, site: Site) -> None:
        """Let each pipeline ingest the manual; the naive one's text is what the questions are checked against."""
        self._corpus = python_manual()
        if not self._pipelines:
            return
        self._watcher.step("Filling the pipelines’ vectors with Python’s manual")
        filling = [pipeline for pipeline in self._pipelines if pipeline.ingest]
        unseen = [] if "naive" in self._cast.pipelines else [PIPELINES["naive"](site)]
        told = await together(*(ingest(provider, pipeline, self._folder) for pipeline in [*filling, *unseen]))
        self._ingestion = told[: len(filling)]

    async def _choose(self, provider: Provider) -> Asked:
        if own := self._cast.questions:
            return Asked(own, own)
        return await choose_questions(provider, self._corpus, self._scenario, vet=bool(self._pipelines))


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would point a pipeline anywhere else, and proxies, since everything is on this machine."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OURS) and not name.lower().endswith("_proxy")
    }
