"""Processes that a benchmark starts: read line by line, ended on every way out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
GRACE_S = 5.0


class ChildFailed(Exception):
    """A process of the benchmark ended before it had said what it was started for."""


class Child:
    """A running process; made by `running`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process

    async def said(self, timeout_s: float) -> dict[str, Any]:
        """Return the next JSON object that it prints on a line of its own."""
        assert self._process.stdout is not None  # noqa: S101  # `running` always gives it a pipe
        async with asyncio.timeout(timeout_s):
            while line := await self._process.stdout.readline():
                if line.startswith(b"{"):
                    said: dict[str, Any] = json.loads(line)
                    return said
        raise ChildFailed(f"{self.name} ended with status {await self._process.wait()}; what it said is above.")

    def tell(self, line: str) -> None:
        """Write it a line."""
        assert self._process.stdin is not None  # noqa: S101  # as above
        self._process.stdin.write(line.encode() + b"\n")

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and make it end if it does not."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(GRACE_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncIterator[Child]:
    """Run a command while the block runs; its errors go to ours."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )
    child = Child(name, process)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", name, *arguments]
