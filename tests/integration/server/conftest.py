"""A real uvicorn server on loopback, round an engine that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from rushhour.catalog.contract import Collection, Collections
from rushhour.errors import UnknownCollection
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Passage, Usage
from rushhour.rag.contract import Answer, Citation, Delta, Piece, Question, Sources
from rushhour.server.app import create_app
from rushhour.server.options import ServerOptions
from rushhour.server.run import serve
from rushhour.telemetry.metrics import Metrics

PASSAGE = Passage(
    1,
    "manual/reference/with.txt/00112233aabbccdd-0",
    "The with statement wraps the execution of a block.",
    "The with statement",
    "https://docs.python.org/3/reference/with.html",
)
WORDS = ("The with statement ", "wraps a block ", "[1].")


class Engine:
    """Answers every question alike; each gate that is closed is where it waits."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.calls: list[Call] = []
        self.error: BaseException | None = None
        self.error_once = False
        self.may_start, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_start.set()
        self.may_go_on.set()
        self.fails_midway: BaseException | None = None
        self.talks_forever = False
        self.talked = 0
        self.cancelled, self.waiting, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.full = asyncio.Event()
        self.open = 0
        self.crowd = 0

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        self.asked.append(request)
        self.calls.append(call)
        self.waiting.set()
        try:
            await self.may_start.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        error = self.error
        if self.error_once:
            self.error = None
        if error is not None:
            raise error
        stream: Stream[Piece] = Stream(self._pieces())
        self.open += 1
        if self.open == self.crowd:
            self.full.set()
        stream.on_close(self._close)
        return stream

    def _close(self, _cause: BaseException | None) -> None:
        self.open -= 1
        self.closed.set()

    async def _pieces(self) -> AsyncIterator[Piece]:
        yield Sources((PASSAGE,))
        yield Delta(WORDS[0])
        await self.may_go_on.wait()
        while self.talks_forever:
            self.talked += 1
            yield Delta("and on " * 10_000)
            await asyncio.sleep(0)
        if self.fails_midway is not None:
            raise self.fails_midway
        for word in WORDS[1:]:
            yield Delta(word)
        text = "".join(WORDS)
        citation = Citation(1, text.index("[1]"), text.index("[1]") + 3, PASSAGE)
        yield Answer(text, (citation,), (PASSAGE,), "stop", "small-model", Usage(90, 10, 12), {"cost_usd": 0.25})


class OneCollection:
    """The shelf that holds the collection `manual` and nothing else."""

    async def collections(self) -> list[Collection]:
        return [Collection("manual", "bge-small", version=3, created=1_700_000_000, files=2, chunks=7)]

    async def collection(self, name: str) -> Collection:
        if name != "manual":
            raise UnknownCollection(f"There is no collection {name!r}; there is manual.", param="model")
        return (await self.collections())[0]


@dataclass
class Running:
    """A server that runs: where, and the task that ends when it has stopped."""

    url: str
    task: asyncio.Task[None]
    metrics: Metrics
    app: Any

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def stop(self) -> None:
        self.task.cancel()


@dataclass
class Servers:
    """Starts servers round one engine."""

    engine: Engine
    catalog: Collections = field(default_factory=OneCollection)

    @asynccontextmanager
    async def run(self, **options: Any) -> AsyncIterator[Running]:
        async def ready() -> dict[str, str]:
            return {"catalog": ""}

        settings = ServerOptions(version="9.9", **options)
        metrics = Metrics()
        app = create_app(self.engine, self.catalog, settings, metrics, ready)
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(app, "127.0.0.1", 0, settings.shutdown_grace_s, on_ready=url.set_result))
        try:
            yield Running(await url, task, metrics, app)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def engine() -> Engine:
    """Return an engine that answers."""
    return Engine()


@pytest.fixture
async def run(engine: Engine) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """Return what starts a server with some options."""
    return Servers(engine).run
