"""An event loop on virtual time that keeps up with a million users.

Like `rushhour.testing.VirtualTimeLoop` its clock jumps to the next timer as soon as nothing is left to do. Beyond that
its timers are compared as tuples instead of objects, it looks at sockets (signals, that is) only now and then, and work
for executors is done at once in this thread: threads finish in any order, and so would the rehearsal.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

from rushhour.testing import Deadlock

T = TypeVar("T")

_TICK_S = 1e-9
"""The clock's resolution: a timer that was set for an instant ago, by rounding, must not be set for ever."""
_ROUNDS = 256
"""Turns of the loop between two looks at the selector."""
_WORTH_SWEEPING = 1_024
_HOPELESS = "Every task waits, no timer is set: something is never released or never sent."


class _Handle(asyncio.Handle):
    """`asyncio.Handle` without what only the debug mode needs: making them takes a good part of a rehearsal."""

    __slots__ = ()

    def __init__(self, callback: Callable[..., Any], args: Any, loop: Any, context: Context | None) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """`asyncio.TimerHandle`, made likewise."""

    __slots__ = ()

    def __init__(
        self, when: float, callback: Callable[..., Any], args: Any, loop: Any, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True


class RehearsalLoop(asyncio.SelectorEventLoop):
    """Virtual seconds from 0; deterministic, and interruptible by signals. Without sockets, threads and processes."""

    _ready: Any  # of BaseEventLoop: the handles to run next
    _selector: Any
    _process_events: Callable[[Any], None]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = count()
        self._dead_timers = 0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]  # typeshed spells the variadic arguments as TypeVarTuple
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call as soon as what is ready now has run."""
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call after `delay` virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a virtual time; those of one time in the order in which they were set."""
        timer = _Timer(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002  # typeshed spells the variadic arguments as TypeVarTuple; no executor is used
        """Do the work here and now; it takes no virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as cause:  # noqa: BLE001  # whatever it is belongs to whoever awaits the future
            future.set_exception(cause)
        return future

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if handle._scheduled:
            self._dead_timers += 1

    def _run_once(self) -> None:
        """Run what is ready, and go on to the next timer's time, a good many times; then look for signals."""
        ready, timers = self._ready, self._timers
        for _ in range(_ROUNDS):
            if not ready:
                if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                    return
                if not timers:
                    break
                self._advance()
            self._turn()
            if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                return
        self._process_events(self._selector.select(0))
        if not (ready or timers):
            raise Deadlock(_HOPELESS)
        if self._dead_timers > _WORTH_SWEEPING and self._dead_timers * 2 > len(timers):
            self._sweep()

    def _turn(self) -> None:
        """Run what is ready now, with the timers that are due."""
        ready, timers, now = self._ready, self._timers, self._now
        while timers and timers[0][0] <= now:
            self._take()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _advance(self) -> None:
        """Set the clock to the next timer that still matters."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            self._take()
        if timers:
            if math.isinf(timers[0][0]):
                raise Deadlock(_HOPELESS)
            self._now = max(self._now, timers[0][0]) + _TICK_S

    def _take(self) -> None:
        timer = heappop(self._timers)[2]
        timer._scheduled = False
        if timer._cancelled:
            self._dead_timers -= 1
        else:
            self._ready.append(timer)

    def _sweep(self) -> None:
        """Forget cancelled timers: most deadlines never come."""
        for _, _, timer in self._timers:
            if timer._cancelled:
                timer._scheduled = False
        self._timers[:] = [entry for entry in self._timers if not entry[2]._cancelled]
        heapify(self._timers)
        self._dead_timers = 0


def run_rehearsal(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on this loop; Ctrl-C cancels `main`, as there."""
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        return runner.run(main)
