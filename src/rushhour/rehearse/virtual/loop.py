"""An event loop on virtual time that keeps up with a million users.

Like `rushhour.testing.VirtualTimeLoop` its clock jumps to the next timer as soon as nothing is left to do. Beyond that
its handles and timers are structs, which cost a third of asyncio's to make and to compare; it looks at sockets
(signals, that is) only now and then; and work for executors is done at once in this thread: threads finish in any
order, and so would the rehearsal.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

import msgspec

from rushhour.testing import Deadlock

T = TypeVar("T")

_TICK_S = 1e-9
"""The clock's resolution: a timer that was set for an instant ago, by rounding, must not be set for ever."""
_ROUNDS = 256
"""Turns of the loop between two looks at the selector."""
_WORTH_SWEEPING = 1_024
_PAGES_A_SECOND = 16
"""A power of two, so that no rounding puts a timer on the wrong side of a page's end."""
_LAST = 2**44
"""The page of timers that are due in 35,000 years or never."""
_HOPELESS = "Every task waits, no timer is set: something is never released or never sent."


class _Handle(msgspec.Struct):
    """What is left of `asyncio.Handle` without the debug mode; a cancelled one has no callback."""

    callback: Callable[..., Any] | None
    args: tuple[Any, ...]
    context: Context | None

    def cancel(self) -> None:
        """Call nothing."""
        self.callback = self.context = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether nothing will be called."""
        return self.callback is None


class _Timer(msgspec.Struct, order=True):
    """`asyncio.TimerHandle` likewise; the earlier one is less, and of one time the one that was set first.

    No kind of `_Handle`, whose fields would come first: a struct is compared field by field.
    """

    due: float
    number: int
    callback: Callable[..., Any] | None
    args: tuple[Any, ...]
    context: Context | None

    def cancel(self) -> None:
        """Call nothing."""
        self.callback = self.context = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether nothing will be called."""
        return self.callback is None

    def when(self) -> float:
        """Virtual seconds at which it is due."""
        return self.due


class _Calendar:
    """Timers that are not due soon, by the part of a second in which they are ("Calendar Queues", Brown 1988).

    Most of them are deadlines that never come, so they are put in order only when their time has.
    """

    def __init__(self) -> None:
        self._pages: dict[int, list[_Timer]] = {}
        self._order: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, timer: _Timer) -> None:
        """Keep a timer."""
        self._count += 1
        page_number = timer.due * _PAGES_A_SECOND
        number = int(page_number) if page_number < _LAST else _LAST
        page = self._pages.get(number)
        if page is None:
            self._pages[number] = [timer]
            heappush(self._order, number)
        else:
            page.append(timer)

    def tear_off(self, timers: list[_Timer]) -> float:
        """Put the timers of the next page in order among others; return when the page after it begins."""
        number = heappop(self._order)
        page = self._pages.pop(number)
        self._count -= len(page)
        timers += [timer for timer in page if timer.callback is not None]
        heapify(timers)
        return (number + 1) / _PAGES_A_SECOND if number != _LAST else math.inf

    def begins(self) -> float:
        """Return when the next page begins."""
        return self._order[0] / _PAGES_A_SECOND if self._order else math.inf

    def sweep(self) -> None:
        """Forget cancelled timers."""
        for number, page in self._pages.items():
            self._pages[number] = [timer for timer in page if timer.callback is not None]
        self._count = sum(map(len, self._pages.values()))


class RehearsalLoop(asyncio.SelectorEventLoop):
    """Virtual seconds from 0; deterministic, and interruptible by signals. Without sockets, threads and processes.

    Tasks have context variables of their own, as everywhere; timers see the loop's, for no copy is made for each.
    """

    _selector: Any
    _process_events: Callable[[Any], None]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._ready: deque[_Handle | _Timer] = deque()
        self._timers: list[_Timer] = []
        self._calendar = _Calendar()
        self._horizon = 1 / _PAGES_A_SECOND
        self._numbers = count()
        self._sweep_at = _WORTH_SWEEPING
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]  # the same in C alone

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]  # typeshed spells the variadic arguments as TypeVarTuple
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call as soon as what is ready now has run."""
        handle = _Handle(callback, args, context)
        self._ready.append(handle)
        return handle  # type: ignore[return-value]  # all of a Handle that anybody uses

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call soon, and wake the loop: Ctrl-C asks for it."""
        handle = self.call_soon(callback, *args, context=context)
        self._write_to_self()  # type: ignore[attr-defined]  # of SelectorEventLoop
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
        timer = _Timer(when, next(self._numbers), callback, args, context)
        if when < self._horizon:
            heappush(self._timers, timer)
        else:
            self._calendar.put(timer)
        return timer  # type: ignore[return-value]  # as above

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002  # typeshed spells the variadic arguments as TypeVarTuple; no executor is used
        """Do the work here and now; it takes no virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as cause:  # noqa: BLE001  # whatever it is belongs to whoever awaits the future
            future.set_exception(cause)
        return future

    def _add_callback(self, handle: asyncio.Handle) -> None:
        """Take in what the selector found: that a signal has come."""
        if not handle.cancelled():
            self._ready.append(_Handle(handle._run, (), None))

    def _run_once(self) -> None:
        """Run what is ready, and go on to the next timer's time, a good many times; then look for signals."""
        ready, timers, calendar = self._ready, self._timers, self._calendar
        for _ in range(_ROUNDS):
            if not ready:
                if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                    return
                if not (timers or calendar):
                    break
                self._advance()
            self._turn()
            if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                return
        self._process_events(self._selector.select(0))
        if not (ready or timers or calendar):
            raise Deadlock(_HOPELESS)
        if len(timers) + len(calendar) > self._sweep_at:
            self._sweep()

    def _turn(self) -> None:
        """Run what is ready now, with the timers that are due."""
        ready, timers, now = self._ready, self._timers, self._now
        while timers and timers[0].due <= now:
            ready.append(heappop(timers))
        for _ in range(len(ready)):
            handle = ready.popleft()
            callback, context = handle.callback, handle.context
            if callback is not None:
                try:
                    if context is None:
                        callback(*handle.args)
                    else:
                        context.run(callback, *handle.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as cause:  # noqa: BLE001  # as asyncio.Handle: the loop goes on, and tells
                    told = {"message": f"Exception in callback {callback!r}", "exception": cause}
                    self.call_exception_handler(told)

    def _advance(self) -> None:
        """Set the clock to the next timer that still matters."""
        timers, calendar = self._timers, self._calendar
        while timers and timers[0].callback is None:
            heappop(timers)
        while not timers and calendar:
            self._horizon = calendar.tear_off(timers)
        if timers:
            due = timers[0].due
            if due == math.inf:
                raise Deadlock(_HOPELESS)
            self._now = now = max(self._now, due) + _TICK_S
            if now >= self._horizon:  # the tick went over the page's end: what is due there is due now
                self._horizon += 1 / _PAGES_A_SECOND
                if calendar.begins() <= now:
                    self._horizon = calendar.tear_off(timers)

    def _sweep(self) -> None:
        """Forget cancelled timers: most deadlines never come."""
        self._timers[:] = [timer for timer in self._timers if timer.callback is not None]
        heapify(self._timers)
        self._calendar.sweep()
        self._sweep_at = max(2 * (len(self._timers) + len(self._calendar)), _WORTH_SWEEPING)


def pause(loop: asyncio.AbstractEventLoop, seconds: float) -> asyncio.Future[None]:
    """Return what is done after so many seconds: `asyncio.sleep` without a coroutine of its own."""
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, _resolve, over)
    return over


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def run_rehearsal(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on this loop; Ctrl-C cancels `main`, as there."""
    with asyncio.Runner(loop_factory=RehearsalLoop) as runner:
        return runner.run(main)
