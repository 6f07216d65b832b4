"""Fakes for your tests and for ours: a hop that follows a script, and an event loop on virtual time.

On the virtual loop an hour of backoff passes in microseconds, in the same order and with the same figures on every
run. Work in executors takes no virtual time. A wait that nothing can end fails at once instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rushhour.flow.call import Call

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Every task waits, and no timer, thread or socket is left that could wake one."""


class _SkippingSelector(selectors.DefaultSelector):
    """Moves the clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # With no thread at work and no socket but the loop's own there is nothing to ask the system for.
        ready = super().select(0) if self.threads_at_work or len(self.get_map()) > 1 else []
        if ready or timeout == 0:
            return ready
        if self.threads_at_work:
            return super().select(None)
        if timeout is None:
            raise Deadlock("Every task waits, no timer is set: something is never released or never sent.")
        self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing is left to do.

    For code without sockets. `loop.time()` starts at 0 and is in seconds.
    """

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._skipping.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # typeshed spells the variadic arguments as TypeVarTuple
        """Run `func` in a thread; the clock stands still until it is done."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._skipping.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *patience: float | None) -> None:  # 3.12 gave it a timeout
        """Wait for the default executor's threads, in real time."""
        self._skipping.threads_at_work += 1
        try:
            await super().shutdown_default_executor(*patience)
        finally:
            self._skipping.threads_at_work -= 1

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._skipping.threads_at_work -= 1


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Scripted:
    """A hop that gives the scripted outcomes in order, and remembers when and what it was asked.

    An outcome is a reply, an exception to raise, or a callable `(request) -> reply`. Each takes `seconds`. The
    last outcome repeats if `forever`; otherwise asking once too often is an AssertionError.
    """

    def __init__(self, *outcomes: Any, seconds: float = 0.0, forever: bool = False) -> None:
        self._outcomes = list(outcomes)
        self._seconds = seconds
        self._forever = forever
        self.asked_at: list[float] = []
        self.requests: list[Any] = []
        self.calls: list[Call] = []
        self.running = 0
        self.peak = 0

    async def __call__(self, request: Any, call: Call) -> Any:
        """Play the next outcome."""
        self.asked_at.append(asyncio.get_running_loop().time())
        self.requests.append(request)
        self.calls.append(call)
        outcome = self._next()
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if self._seconds:
                await asyncio.sleep(self._seconds)
        finally:
            self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome(request) if callable(outcome) else outcome

    def _next(self) -> Any:
        if not self._outcomes:
            raise AssertionError(f"asked {len(self.asked_at)} times: the script has no more outcomes")
        if self._forever and len(self._outcomes) == 1:
            return self._outcomes[0]
        return self._outcomes.pop(0)
