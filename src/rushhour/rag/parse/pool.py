"""Parsing in processes of its own: a file that hangs, crashes or floods its parser costs itself and nothing else.

Processes are started when the first file comes that needs one, and used again. Each is a fresh interpreter (nothing
is forked), started in a tenth of a second. Plain text stays in a thread: its parser takes linear time, in Python alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, TypeAlias

import msgspec

from rushhour.errors import DocumentError, UnreadableDocument
from rushhour.rag.parse import PARSERS, format_of, parse, wire
from rushhour.rag.parse.document import Document

SECONDS: Final = 60.0
"""How long one file may take; a PDF of a thousand pages takes about five seconds."""
MEMORY: Final = 2**30
"""Address space of a process in bytes, where the system can bound it."""
WORKERS: Final = 2
GRACE_S: Final = 2.0
"""How long a process that closed its pipes may take to end, before it is killed."""
LIGHT: Final = frozenset(form for form, where in PARSERS.items() if where.startswith("plain."))
"""Formats that are parsed in a thread, which nothing can stop: no library, linear time, nothing unpacked."""

_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG")
"""What a parser needs of the environment: no key of any provider is among it."""
_LOST: Final = (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError)

Parse: TypeAlias = Callable[[str, bytes, str], Awaitable[Document]]
"""Name, content, format ("" to go by the name) → document; raises DocumentError."""


async def parse_in_thread(name: str, content: bytes, form: str = "") -> Document:
    """Parse in a thread, where nothing can stop a parser that hangs: for content that is trusted."""
    return await asyncio.to_thread(parse, name, content, form)


class ParserPool:
    """Parses in at most `workers` processes; use it as a context manager, or call `aclose`.

    `seconds` bounds one file, `memory` (bytes) one process; `command` is what is started, with the bound appended.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        command: Sequence[str] = (sys.executable, "-P", "-B", "-m", "rushhour.rag.parse.worker"),
    ) -> None:
        self._seconds = seconds
        self._memory = memory
        self._command = (*command, str(memory))
        self._free = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._closed = False

    async def __call__(self, name: str, content: bytes, form: str = "") -> Document:
        """Parse one document, waiting for a free process; raises DocumentError, whatever its parser does."""
        form = form or format_of(name)
        if form in LIGHT:
            return await parse_in_thread(name, content, form)
        async with self._free:
            worker = await self._worker()
            keep = False
            try:
                reply = await self._ask(worker, name, content, form)
                found, ends = await asyncio.to_thread(wire.document, reply)
                keep = not ends and not self._closed
            except msgspec.DecodeError as cause:
                raise UnreadableDocument(f"{name}: its parser answered nonsense ({cause}).") from cause
            finally:
                if keep:
                    self._idle.append(worker)
                else:
                    await worker.end()
        if isinstance(found, DocumentError):
            raise found
        return found

    async def aclose(self) -> None:
        """End the processes; one that is busy ends when the call that it works for is done or cancelled."""
        self._closed = True
        while self._idle:
            await self._idle.pop().end()

    async def __aenter__(self) -> ParserPool:
        """Start nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def _worker(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.end()
        return _Worker(await _started(self._command))

    async def _ask(self, worker: _Worker, name: str, content: bytes, form: str) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await worker.ask(wire.request(name, content, form, self._seconds), content)
        except TimeoutError as cause:
            raise UnreadableDocument(
                f"{name} takes longer than {self._seconds:g} s to read: it is too large, or made to stall. Split it."
            ) from cause
        except _LOST as cause:
            raise UnreadableDocument(
                f"{name} ended its parser ({await worker.ended()}): it is broken, or made to do so. "
                "Open it in the program it comes from and save it anew."
            ) from cause


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("A parser's process needs pipes.")
        self._process = process
        self._requests = process.stdin
        self._replies = process.stdout

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as is known."""
        return self._process.returncode is None and not self._replies.at_eof()

    async def ask(self, head: bytes, content: bytes) -> bytes:
        """Exchange a request for a reply."""
        self._requests.write(head)
        self._requests.write(content)
        await self._requests.drain()
        (size,) = wire.LENGTH.unpack(await self._replies.readexactly(wire.LENGTH.size))
        if size > wire.MAX_REPLY:
            raise asyncio.IncompleteReadError(b"", size)
        return await self._replies.readexactly(size)

    async def ended(self) -> str:
        """Say how it ended, which it has begun to do if its pipes are closed."""
        try:
            async with asyncio.timeout(GRACE_S):
                status = await self._process.wait()
        except TimeoutError:
            self._kill()
            status = await self._process.wait()
        if status >= 0:
            return f"exit status {status}"
        return signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"

    async def end(self) -> None:
        """Kill it: it holds nothing worth saving."""
        self._kill()
        self._requests.close()
        while await self._replies.read(2**20):  # up to the end, which closes the pipe
            pass
        await self._process.wait()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


async def _started(command: Sequence[str]) -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        limit=2**20,
    )
