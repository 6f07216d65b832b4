"""The rehearsal's loop: time jumps, order is kept, nothing hangs, nothing runs in a thread."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rehearse.virtual.loop import _TICK_S, RehearsalLoop, run_rehearsal
from rushhour.testing import Deadlock


async def _woken_in_order(delays: list[float]) -> list[int]:
    woken: list[int] = []

    async def sleep(number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        woken.append(number)

    await asyncio.gather(*(sleep(number, delay) for number, delay in enumerate(delays)))
    return woken


def test_an_hour_passes_at_once() -> None:
    """The clock jumps to the next timer."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_rehearsal(main()) == pytest.approx(3600)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0625, 0.1, 0.5, 0.5, 2.0, 7.25, 1e12]), max_size=30))
def test_sleepers_wake_by_time_and_then_by_order(delays: list[float]) -> None:
    """Timers of one time fire in the order in which they were set."""
    expected = sorted(range(len(delays)), key=lambda number: delays[number])

    assert run_rehearsal(_woken_in_order(delays)) == expected


class _OneHeap:
    """The order that is promised, made as simply as can be: by time, and of one time as they were set."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self._now = 0.0
        self._ready: deque[tuple[int, int]] = deque()
        self._timers: list[tuple[float, int, int]] = []
        self._set = 0
        self._cancelled: set[int] = set()

    def call_soon(self, number: int) -> int:
        self._set += 1
        self._ready.append((self._set, number))
        return self._set

    def call_later(self, delay: float, number: int) -> int:
        self._set += 1
        heapq.heappush(self._timers, (self._now + delay, self._set, number))
        return self._set

    def cancel(self, order: int) -> None:
        self._cancelled.add(order)

    def run(self, then: Callable[[int], None]) -> None:
        while self._ready or self._timers:
            if not self._ready:
                due, order, _ = self._timers[0]
                if order in self._cancelled:
                    heapq.heappop(self._timers)
                    continue
                self._now = max(self._now, due) + _TICK_S
            while self._timers and self._timers[0][0] <= self._now:
                _, order, number = heapq.heappop(self._timers)
                self._ready.append((order, number))
            for _ in range(len(self._ready)):
                order, number = self._ready.popleft()
                if order not in self._cancelled:
                    self.told.append(number)
                    then(number)


_Delay: TypeAlias = float | None
"""None: as soon as what is ready has run."""
_Step: TypeAlias = tuple[list[_Delay], int | None]
"""What a callback does: sets others, each after its delay, and cancels the n-th of all that were set."""
_PAGE_S = 1 / 16
_DELAYS = st.sampled_from(
    [None, 0.0, -1.0, 1e-10, 0.001, _PAGE_S - 1e-9, _PAGE_S - 5e-10, _PAGE_S, 0.0626, 0.3, 1.0, 60.0, 1e6, 1e18, 1e30]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.lists(_DELAYS, max_size=4), st.none() | st.integers(0, 30)), min_size=1, max_size=30),
)
def test_timers_that_set_and_cancel_others_come_in_the_promised_order(program: list[_Step]) -> None:
    """However far off they are, whichever page of the calendar they lie on, whatever else is ready."""

    def play(
        soon: Callable[[int], Any], later: Callable[[float, int], Any], cancel: Callable[[Any], None]
    ) -> Callable[[int], None]:
        handles: list[Any] = []

        def begin(number: int) -> None:
            if number >= len(program):
                return
            delays, victim = program[number]
            for delay in delays:
                following = len(handles) + 1
                handles.append(soon(following) if delay is None else later(delay, following))
            if victim is not None and victim < len(handles):
                cancel(handles[victim])

        return begin

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        told: list[int] = []

        def come(number: int) -> None:
            told.append(number)
            begin(number)

        begin = play(
            lambda number: loop.call_soon(come, number),
            lambda delay, number: loop.call_later(delay, come, number),
            lambda handle: handle.cancel(),
        )
        begin(0)
        await asyncio.sleep(1e35)
        return told

    promised = _OneHeap()
    begin = play(promised.call_soon, promised.call_later, promised.cancel)
    begin(0)
    promised.run(begin)

    assert run_rehearsal(main()) == promised.told


def test_a_wait_that_nothing_ends_is_an_error() -> None:
    """A forgotten release is told, not waited for."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_rehearsal(main())


def test_a_timer_that_never_comes_is_no_hope() -> None:
    """An infinite deadline does not keep a hanging rehearsal alive."""

    async def main() -> None:
        asyncio.get_running_loop().call_at(math.inf, print)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_rehearsal(main())


def test_a_timeout_ends_a_wait() -> None:
    """`asyncio.timeout` works as on any loop."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run_rehearsal(main()) == pytest.approx(2.5)


def test_cancelled_timers_do_not_pile_up() -> None:
    """Deadlines that never came are forgotten long before their time."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        for _ in range(10_000):
            loop.call_later(3600, print).cancel()
            await asyncio.sleep(0)
        assert isinstance(loop, RehearsalLoop)
        return len(loop._timers) + len(loop._calendar)

    assert run_rehearsal(main()) < 3_000


def test_executors_work_at_once_in_this_thread() -> None:
    """Work for a thread takes no virtual time and happens in order."""

    async def main() -> tuple[str, float]:
        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        return name, asyncio.get_running_loop().time()

    assert run_rehearsal(main()) == (threading.current_thread().name, 0.0)


def test_a_failure_in_an_executor_is_raised_where_it_is_awaited() -> None:
    """Nothing is swallowed on the way."""

    async def main() -> None:
        await asyncio.to_thread(int, "seven")

    with pytest.raises(ValueError, match="seven"):
        run_rehearsal(main())
