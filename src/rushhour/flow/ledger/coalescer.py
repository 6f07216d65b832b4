"""One connection for everything: commands of one loop tick leave together, and a dead server costs nothing a call."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from rushhour.flow.ledger.redis_scripts import Script

TICKS = 4
"""A server that says nothing for this many ticks of the watch is lost."""

BATCH_BYTES = 1 << 20
"""What is not urgent leaves in batches of about this size, so that leases never wait long behind a cache."""

WAITING_BYTES = 16 << 20
"""More than this is not kept waiting; what comes then is turned away."""

FIRST_PAUSE_S, LAST_PAUSE_S = 0.02, 1.0
"""Between attempts to find the server again, doubling."""

STABLE_S = 5.0
"""A link that lasted this long was good: the next attempts begin soon again."""


class Lost(Exception):
    """The server is out of reach: it refused, closed, or did not answer in time."""


class Refused(Exception):
    """The server answers, but not this command."""


class Command(msgspec.Struct, frozen=True):
    """A script with its keys and arguments, or the words of a plain command."""

    words: tuple[bytes | str, ...]
    script: Script | None = None
    keys: tuple[str, ...] = ()

    def size(self) -> int:
        """Bytes, nearly."""
        return sum(len(word) for word in self.words)


class Link(Protocol):
    """A connection to the server."""

    async def exchange(self, commands: Sequence[Command], heard: Callable[[int, Any], None]) -> None:
        """Send all, and tell the answers by position; an answer may be a `Refused`. Raises `Lost`."""
        ...

    async def aclose(self) -> None:
        """Close it; never fails."""
        ...


class _Sending(msgspec.Struct, eq=False):
    command: Command
    urgent: bool
    answer: asyncio.Future[Any]


class Coalescer:
    """Sends commands in batches over one link, one batch at a time, and finds a new link when one is lost.

    A server that refuses what is urgent is lost too: it is of no use until it has changed. `connect` makes a link that
    has proved to work, or raises `Lost`. `on_lost(why)` and `on_back()` are called at once,
    before anybody who waits for an answer is told. While there is no link, `submit` returns None.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Link]],
        on_lost: Callable[[str], None],
        on_back: Callable[[], None],
        patience_s: float = 0.08,
        rng: random.Random | None = None,
    ) -> None:
        self._connect = connect
        self._on_lost, self._on_back = on_lost, on_back
        self.patience_s = patience_s
        self._random = rng or random.Random()
        self._urgent: deque[_Sending] = deque()
        self._others: deque[_Sending] = deque()
        self._waiting_bytes = 0
        self._work = asyncio.Event()
        self._pause = FIRST_PAUSE_S
        self._task: asyncio.Task[None] | None = None
        self.reachable = False
        self.last_heard = asyncio.get_running_loop().time()
        self.round_trips = 0
        self.commands = 0

    def start(self, link: Link | None) -> None:
        """Begin with this link, or look for one."""
        self.reachable = link is not None
        self._task = asyncio.create_task(self._run(link))

    def submit(self, command: Command, *, urgent: bool) -> asyncio.Future[Any] | None:
        """Send with what else this tick sends; None if out of reach, or if too much waits already."""
        if not self.reachable:
            return None
        if not urgent:
            if self._waiting_bytes + command.size() > WAITING_BYTES:
                return None
            self._waiting_bytes += command.size()
        sending = _Sending(command, urgent, asyncio.get_running_loop().create_future())
        (self._urgent if urgent else self._others).append(sending)
        self._work.set()
        return sending.answer

    async def aclose(self) -> None:
        """End; whoever still waits for an answer is told `Lost`. Raises what ended the work before, if anything did."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.wait([task])
        self.reachable = False
        self._fail(deque(), "closed")
        if task and not task.cancelled() and (mistake := task.exception()):
            raise mistake

    async def _run(self, link: Link | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if link is None:
                link = await self._find()
                self.reachable = True
                self.last_heard = loop.time()
                self._on_back()
            begun = loop.time()
            try:
                await self._pump(link)
            finally:
                await link.aclose()
            link = None
            if loop.time() - begun > STABLE_S:
                self._pause = FIRST_PAUSE_S

    async def _find(self) -> Link:
        """Try again, soon at first and then every second or so."""
        while True:
            await asyncio.sleep(self._pause * self._random.uniform(0.5, 1.0))
            self._pause = min(self._pause * 2, LAST_PAUSE_S)
            try:
                return await self._connect()
            except Lost:
                continue

    async def _pump(self, link: Link) -> None:
        """Exchange batches until the link is lost."""
        while True:
            await self._work.wait()
            batch = self._next_batch()
            try:
                await self._exchange(link, batch)
            except Lost as why:
                self.reachable = False
                self._on_lost(str(why))
                self._fail(batch, str(why))
                return
            except asyncio.CancelledError:
                self._fail(batch, "closed")
                raise
            except BaseException as mistake:  # of ours: it ends the task, and nobody may wait for what never comes
                self.reachable = False
                self._on_lost(repr(mistake))
                self._fail(batch, repr(mistake))
                raise

    def _next_batch(self) -> deque[_Sending]:
        batch, self._urgent = self._urgent, deque()
        size = 0
        while self._others and size < BATCH_BYTES:
            sending = self._others.popleft()
            size += sending.command.size()
            batch.append(sending)
        self._waiting_bytes -= size
        if not self._others:
            self._work.clear()
        return batch

    async def _exchange(self, link: Link, batch: deque[_Sending]) -> None:
        loop = asyncio.get_running_loop()
        self.round_trips += 1
        self.commands += len(batch)
        async with _Watch(self.patience_s / TICKS) as watch:

            def heard(position: int, answer: Any) -> None:
                watch.heard()
                self.last_heard = loop.time()
                if isinstance(answer, Refused) and batch[position].urgent:
                    raise Lost(str(answer))
                _settle(batch[position].answer, answer)

            await link.exchange([sending.command for sending in batch], heard)

    def _fail(self, batch: deque[_Sending], why: str) -> None:
        """Tell everybody who still waits."""
        for sending in (*batch, *self._urgent, *self._others):
            _settle(sending.answer, Lost(why))
        self._urgent.clear()
        self._others.clear()
        self._waiting_bytes = 0
        self._work.clear()


def _settle(answer: asyncio.Future[Any], value: Any) -> None:
    if answer.done():
        return
    if isinstance(value, Exception):
        answer.set_exception(value)
        answer.exception()  # seen, even if nobody waits any more
    else:
        answer.set_result(value)


class _Watch:
    """Raises `Lost` after some ticks without a word; a loop that stood still counts as one tick, not as silence."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._left = TICKS
        self._patience = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Begin to count anew."""
        self._left = TICKS

    async def __aenter__(self) -> _Watch:
        await self._patience.__aenter__()
        self._wait()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self._timer:
            self._timer.cancel()
        try:
            await self._patience.__aexit__(kind, error, trace)
        except TimeoutError:
            raise Lost(f"no answer within {self._tick_s * TICKS * 1000:.0f} ms") from None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._left -= 1
        if self._left > 0:
            self._wait()
        else:
            self._patience.reschedule(asyncio.get_running_loop().time())
