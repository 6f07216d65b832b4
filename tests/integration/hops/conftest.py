"""A provider on a real socket that does exactly what a test tells it, down to the bytes."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from rushhour.hops.aiohttp_transport import AiohttpTransport

Script: TypeAlias = Callable[["Connection"], Awaitable[None]]

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One accepted connection, as the script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def request(self) -> bytes:
        """Read one whole request; b"" when the client has gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            whole = head + await self._reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self._server.requests.append(whole)
        self._server.asked.set()
        return whole

    async def send(self, *parts: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def reply(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        """Write a whole reply."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join(lines).encode(), b"\r\n\r\n", body)

    async def start_stream(self) -> None:
        """Write the head of a chunked reply."""
        await self.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        )

    async def chunk(self, data: bytes) -> None:
        """Write one chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def until_told(self) -> None:
        """Wait until the test says to go on."""
        await self._server.go_on.wait()

    async def client_gone(self) -> None:
        """Wait until the client has closed its side."""
        try:
            while await self._reader.read(4096):
                pass
        except ConnectionError:
            pass  # closing with a reset is closing, too
        self._server.client_closed.set()

    def reset(self) -> None:
        """Close with a RST."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class Server:
    """Runs one script for each connection."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked, self.client_closed, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.port = 0
        self._script: Script | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, script: Script) -> None:
        """Say what to do with each connection from now on."""
        self._script = script

    async def start(self) -> None:
        """Listen on a free port."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            assert self._script is not None
            await self._script(Connection(reader, writer, self))
        except ConnectionError:
            pass  # a script may write to a client that has left: that is what some tests are about
        finally:
            self._tasks.discard(task)
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Start a server that a test scripts with `play`."""
    scripted = Server()
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def opening(server: Server) -> AsyncIterator[Callable[..., AiohttpTransport]]:
    """Make transports to the scripted server, and close them."""
    opened: list[AiohttpTransport] = []

    def make(url: str = "", **options: Any) -> AiohttpTransport:
        opened.append(
            AiohttpTransport(url or server.url, {"authorization": "Bearer k"}, settings="RUSHHOUR_X", **options)
        )
        return opened[-1]

    yield make
    for transport in opened:
        await transport.aclose()
