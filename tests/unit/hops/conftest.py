"""A provider in memory: replies in the order of a script, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from rushhour.hops.transport import Peer, Reply


@dataclass
class Sent:
    """One request as the provider got it."""

    method: str
    path: str
    body: bytes
    timeout: float

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class MemoryStream:
    """A body in pieces: bytes arrive, an exception is raised, a number is seconds of silence."""

    pieces: list[bytes | float | Exception]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    closed: bool = False
    drained: bool = False

    async def gather(self, seconds: float) -> None:
        """Let the virtual time pass."""
        await asyncio.sleep(seconds)

    async def read(self) -> bytes:
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                return piece
            await asyncio.sleep(piece)
        self.drained = True
        return b""

    async def aclose(self) -> None:
        self.closed = True


class MemoryTransport:
    """A scripted provider; asking once too often fails the test."""

    def __init__(self, *script: Reply | MemoryStream | Exception) -> None:
        self.peer = Peer("api.test", "RUSHHOUR_TEST")
        self.script = list(script)
        self.sent: list[Sent] = []
        self.closed = False

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        self.sent.append(Sent(method, path, body, timeout))
        outcome = self.script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Reply)
        return outcome

    async def stream(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float, read_timeout: float
    ) -> MemoryStream:
        self.sent.append(Sent(method, path, body, timeout))
        outcome = self.script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, MemoryStream)
        return outcome

    async def aclose(self) -> None:
        self.closed = True


def json_reply(body: Any, status: int = 200, **headers: str) -> Reply:
    """Encode a reply; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"content-type": "application/json", **named}, msgspec.json.encode(body))


@pytest.fixture
def provider() -> Callable[..., MemoryTransport]:
    """Make a scripted provider."""
    return MemoryTransport


@pytest.fixture
def body_of() -> Callable[..., Reply]:
    """Make a JSON reply."""
    return json_reply


@pytest.fixture
def arriving() -> Callable[..., MemoryStream]:
    """Make a body that arrives in pieces."""
    return MemoryStream
