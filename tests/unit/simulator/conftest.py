"""A simulator without a socket, and a client that calls it in this process."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from rushhour.simulator import Simulator, build_profile
from rushhour.simulator.exchange import Ending, Reply, Request
from rushhour.simulator.ledger import Connection


class Client:
    """Calls a simulator as one client over one connection, and takes every reply to its end."""

    def __init__(self, simulator: Simulator, name: str = "tester") -> None:
        self.simulator = simulator
        self.name = name
        self.connection = Connection()

    async def send(self, request: Request) -> Reply:
        """Deliver one request; a stream is joined into the reply's body."""
        reply = await self.simulator.handle(request)
        if reply.stream is not None:
            reply.body = b"".join([piece async for piece in reply.stream])
        reply.close(delivered=reply.ending is Ending.KEPT, sent=len(reply.body))
        return reply

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a JSON body, or bytes as they are."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"x-sim-client": self.name, **(headers or {})}
        return await self.send(Request("POST", path, headers, raw, connection=self.connection))

    async def get(self, path: str, **query: str | list[str]) -> Reply:
        """GET with query parameters."""
        values = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
        headers = {"x-sim-client": self.name}
        return await self.send(Request("GET", path, headers, query=values, connection=self.connection))

    async def embed(self, text: str | list[Any] = "hello", **more: Any) -> Reply:
        """Ask for embeddings."""
        return await self.post("/v1/embeddings", {"input": text, "model": "any-embedder", **more})

    async def chat(self, text: str = "hello?", **more: Any) -> Reply:
        """Ask for a completion."""
        messages = [{"role": "user", "content": text}]
        return await self.post("/v1/chat/completions", {"model": "any-model", "messages": messages, **more})


@pytest.fixture
def simulated() -> Callable[..., Client]:
    """Return a maker of clients: `simulated(seed=…, chat={…}, …)` with the fields of a profile."""

    def make(seed: int = 1, **fields: Any) -> Client:
        simulator = Simulator(build_profile(fields), seed=seed)
        simulator.open()
        return Client(simulator)

    return make


@pytest.fixture
def clock() -> Callable[[], float]:
    """Return the virtual clock."""
    return lambda: asyncio.get_running_loop().time()
