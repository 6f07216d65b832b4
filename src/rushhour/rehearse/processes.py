"""Child processes: started, found ready, measured, and ended on every way out.

Each runs in a session of its own, so that Ctrl-C reaches only the rehearsal, which then ends them in order. Its input
is a pipe that closes when the rehearsal is gone: whoever is on the `leash` then ends too. What a child writes goes to
a log in the run's folder.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from rushhour.errors import RushhourError
from rushhour.rehearse.meter import Measured, measuring

_GRACE_S = 5.0
_LOG_TAIL = 1_500


class ChildFailed(RushhourError):
    """A process of the rehearsal ended or hung where it should not have."""

    code = "rehearsal_process_failed"


class Child:
    """One running process; made by `running`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.pid = process.pid
        self._process = process
        self._watched = psutil.Process(process.pid)
        self._drain: asyncio.Task[None] | None = None

    async def line(self) -> bytes:
        """Return the next line of its output; empty at the end."""
        assert self._process.stdout is not None  # noqa: S101  # `running` always gives it a pipe
        return await self._process.stdout.readline()

    async def last_line(self) -> bytes:
        """Read its output to the end, into the log, and return the last line that says something."""
        last = b""
        while line := await self.line():
            self._append_to_log(line)
            last = line.strip() or last
        return last

    async def ready_line(self, timeout_s: float) -> dict[str, Any]:
        """Return the JSON object it says when it is ready; raises ChildFailed."""
        try:
            async with asyncio.timeout(timeout_s):
                while line := await self.line():
                    if line.startswith(b"{"):
                        return msgspec.json.decode(line, type=dict[str, Any])
                    self._append_to_log(line)
        except TimeoutError:
            raise ChildFailed(self._story(f"was not ready after {timeout_s:g} s")) from None
        await self._process.wait()
        raise ChildFailed(self._story(f"ended with status {self._process.returncode} before it was ready"))

    async def answers(self, url: str, timeout_s: float) -> None:
        """Wait until GET url is 200; raises ChildFailed."""
        try:
            async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
                while not await _is_up(session, url):
                    if self._process.returncode is not None:
                        raise ChildFailed(self._story(f"ended with status {self._process.returncode} as it started"))
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise ChildFailed(self._story(f"was not ready at {url} after {timeout_s:g} s")) from None

    def drain(self) -> None:
        """Copy to the log whatever else it prints, so that a full pipe never blocks it."""
        self._drain = asyncio.create_task(self._copy_output())

    async def finish(self) -> int:
        """Wait for its end; raises ChildFailed when its status is not 0."""
        status = await self._process.wait()
        if status != 0:
            raise ChildFailed(self._story(f"ended with status {status}"))
        return status

    def go(self) -> None:
        """Write the line that a waiting child starts on."""
        assert self._process.stdin is not None  # noqa: S101  # `running` always gives it a pipe
        self._process.stdin.write(b"go\n")

    def let_go(self) -> None:
        """Close its input, which tells a child on the leash that nobody needs it any more."""
        assert self._process.stdin is not None  # noqa: S101  # `running` always gives it a pipe
        self._process.stdin.close()

    def measured(self) -> AbstractAsyncContextManager[Measured]:
        """Measure CPU and memory, its children's too, while the block runs."""
        return measuring(self._family)

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """Ask it to end, then make it end; its own children too, however impatient the caller gets."""
        family = self._family()
        try:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        except TimeoutError:
            self._append_to_log(b"It did not end when asked and was killed.\n")
        finally:
            if self._drain is not None:
                self._drain.cancel()
            for process in family:
                _kill(process)
        await self._process.wait()

    async def _copy_output(self) -> None:
        while line := await self.line():
            self._append_to_log(line)

    def _append_to_log(self, line: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(line)

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._watched, *self._watched.children(recursive=True)]
        except psutil.NoSuchProcess:
            return [self._watched]

    def _story(self, what: str) -> str:
        tail = self.log.read_text(errors="replace")[-_LOG_TAIL:].strip()
        return f"The {self.name} {what}." + (
            f" The end of its log:\n{tail}" if tail else f" Its log, {self.log}, is empty."
        )


def leashed(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module and ends with whoever started it."""
    return [sys.executable, "-m", "rushhour.rehearse.leash", module, *arguments]


@asynccontextmanager
async def running(name: str, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> AsyncIterator[Child]:
    """Run a command in a folder while the block runs; its output is piped, its errors go to `folder/name.log`."""
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
            limit=2**20,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


async def _is_up(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
