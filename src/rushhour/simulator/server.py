"""The simulated providers as one thing to start: `async with Simulator() as sim: … sim.url …`."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self

from rushhour.simulator.answering import Answerer
from rushhour.simulator.chat import Chat
from rushhour.simulator.control import Control
from rushhour.simulator.dispatcher import Dispatcher
from rushhour.simulator.embeddings import Embeddings
from rushhour.simulator.errors import SimulatorError
from rushhour.simulator.exchange import Reply, Request, Surface
from rushhour.simulator.faults.orders import Order, follow, overview
from rushhour.simulator.http import HttpServer
from rushhour.simulator.models import Models
from rushhour.simulator.paths import Paths
from rushhour.simulator.pinecone import Pinecone
from rushhour.simulator.pinecone_control import PineconeControl
from rushhour.simulator.pinecone_project import Project
from rushhour.simulator.profiles import Profile
from rushhour.simulator.quota import Quota
from rushhour.simulator.rerank import Rerank
from rushhour.simulator.vectors import TextVectors
from rushhour.simulator.wall import unix_now

BACKLOG = 4_096
"""Connections that may wait to be accepted; asyncio's 100 would refuse a crowd that the provider would not."""


class Simulator:
    """Embeddings, chat, model list and vector store of simulated providers on one port.

    Deterministic by `seed`. Everything is created in `start`, since the ledger begins with the loop's clock.
    """

    def __init__(self, profile: Profile | None = None, *, seed: int = 1) -> None:
        self.profile = profile or Profile()
        self.seed = seed
        self._dispatcher: Dispatcher | None = None
        self._http: HttpServer | None = None
        self._listener: asyncio.Server | None = None
        self._url = ""
        self._paths = Paths(())
        self._began = (0.0, 0.0, 0.0)
        self._control = Control(self)

    @property
    def url(self) -> str:
        """Where it listens, as `http://host:port`, once started."""
        return self._url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port; 0 takes any free one. Raises SimulatorError if that cannot be."""
        if self._listener is not None:
            raise SimulatorError(f"The simulator already listens at {self._url}; stop it first.")
        self.open()
        http = HttpServer(self.handle)
        try:
            listener = await asyncio.get_running_loop().create_server(http, host, port, backlog=BACKLOG)
        except OSError as wrong:
            raise SimulatorError(_explain(wrong, host, port)) from None
        self._http, self._listener = http, listener
        port = listener.sockets[0].getsockname()[1]
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return port

    async def stop(self) -> None:
        """Stop listening, end the open calls, close every connection."""
        listener, self._listener = self._listener, None
        if listener is None or self._http is None:
            return
        listener.close()
        await self._http.stop()
        await listener.wait_closed()

    def open(self) -> None:
        """Make the providers without a socket; `handle` then serves calls in this process."""
        profile = self.profile
        embeddings = Quota(profile.embeddings, profile.organization, profile.keys)
        chat = Quota(profile.chat, profile.organization, profile.keys)
        project = Project(profile.vectors)
        surfaces: list[Surface] = [
            Embeddings(profile.embeddings, embeddings, TextVectors()),
            Chat(profile.chat, chat, Answerer()),
            Models([embeddings, chat]),
            Pinecone(project, profile.keys),
            PineconeControl(project, profile.keys),
            Rerank(profile.rerank, profile.keys),
        ]
        self._paths = Paths(surfaces)
        self._dispatcher = Dispatcher(surfaces, self.seed, profile)
        self._mark()

    def handle(self, request: Request) -> Awaitable[Reply]:
        """Serve one call; whoever delivers the reply closes it."""
        if request.path.startswith(Control.prefix):
            return self._controlled(request)
        return self._providers.handle(self._paths.resolve(request))

    async def _controlled(self, request: Request) -> Reply:
        return self._control.answer(request)

    def reset(self, vectors: bool = False) -> None:
        """Begin anew with full buckets and a fresh ledger; with `vectors`, with an empty store too."""
        self._providers.reset(data=vectors)
        if self._http is not None:
            self._http.forget_peak()
        self._mark()

    def inject(self, order: Order) -> list[str]:
        """Make something fail from now on; return the surfaces that are meant. Raises OrderError."""
        return follow(order, self._providers.weather, self._elapsed())

    def clear_faults(self) -> None:
        """Take back every order to fail; the profile's own faults stay."""
        for weather in self._providers.weather.values():
            weather.told.clear()

    def faults(self) -> dict[str, Any]:
        """Return the faults there are, and those in force on each surface."""
        return overview(self._providers.weather, self._elapsed())

    def ledger(self) -> dict[str, Any]:
        """Return what each client did since the start or the last reset."""
        return self._providers.ledger.as_json()

    def verdict(self, client: str = "") -> dict[str, Any]:
        """Return how each client behaved, or one of them: findings in plain words, and their figures."""
        return self._providers.ledger.verdict(client)

    def state(self) -> dict[str, Any]:
        """Return what happened since the start or the last reset, ready for JSON."""
        loop_s, unix_s, cpu_s = self._began
        http = self._http
        connections = {"opened": http.opened, "open": http.open, "peak": http.peak} if http is not None else {}
        return {
            "since": {"loop_s": loop_s, "unix_s": unix_s},
            "elapsed_s": self._elapsed(),
            **self.ledger(),
            "load": self._providers.load(),
            "connections": connections,
            "process": {"pid": os.getpid(), "cpu_s": time.process_time() - cpu_s, "cpu_total_s": time.process_time()},
            "seed": self.seed,
            "profile": self.profile.as_json(),
        }

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def _providers(self) -> Dispatcher:
        if self._dispatcher is None:
            raise SimulatorError("The simulator is not started; call start() first.")
        return self._dispatcher

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began[0]

    def _mark(self) -> None:
        self._began = (asyncio.get_running_loop().time(), unix_now(), time.process_time())


def _explain(wrong: OSError, host: str, port: int) -> str:
    if wrong.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use. Stop what listens there, or choose another port (0 takes any free one)."
        )
    if wrong.errno == errno.EACCES:
        return f"Port {port} on {host} needs privileges. Choose one above 1023 (0 takes any free one)."
    return f"Cannot listen on {host}:{port}: {wrong.strerror or wrong}. Check the host and the port."
