"""What processes use while a block runs: CPU, memory, and how busy they were at their busiest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

_SAMPLE_S = 0.2
BUSIEST_S = 2.0
"""Seconds over which a process is called busy."""


@dataclass(slots=True)
class Measured:
    """CPU seconds and the largest resident memory (10⁶ bytes) of a process and its children.

    `share` is its mean share of a core over `wall_s` seconds, `busiest` that of its busiest two seconds.
    """

    cpu_s: float = 0.0
    peak_rss_mb: float = 0.0
    wall_s: float = 0.0
    busiest: float = 0.0

    @property
    def share(self) -> float:
        """Mean share of a core."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0


class _Meter:
    """Samples a family of processes; `figures` are what was found so far."""

    def __init__(self, family: Callable[[], Sequence[psutil.Process]]) -> None:
        self._family = family
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._before = cpu_of(family())
        self._recent: deque[tuple[float, float]] = deque([(self._began, 0.0)])
        self.figures = Measured()

    async def sample(self) -> None:
        while True:
            self.take()
            await asyncio.sleep(_SAMPLE_S)

    def take(self) -> None:
        figures, family, now = self.figures, self._family(), self._loop.time()
        figures.cpu_s = max(figures.cpu_s, cpu_of(family) - self._before)
        figures.peak_rss_mb = max(figures.peak_rss_mb, rss_of(family))
        figures.wall_s = now - self._began
        self._recent.append((now, figures.cpu_s))
        while len(self._recent) > 2 and now - self._recent[1][0] >= BUSIEST_S:
            self._recent.popleft()
        since, used = self._recent[0]
        if now - since >= BUSIEST_S:
            figures.busiest = max(figures.busiest, (figures.cpu_s - used) / (now - since))


@asynccontextmanager
async def measuring(family: Callable[[], Sequence[psutil.Process]]) -> AsyncIterator[Measured]:
    """Measure while the block runs; the figures are final once it is left."""
    meter = _Meter(family)
    sampler = asyncio.create_task(meter.sample())
    try:
        yield meter.figures
    finally:
        sampler.cancel()
        await asyncio.gather(sampler, return_exceptions=True)
        meter.take()


def cpu_of(family: Sequence[psutil.Process]) -> float:
    """CPU seconds until now, user and system; nothing for one that has ended."""
    return sum(_cpu_of(process) for process in family)


def rss_of(family: Sequence[psutil.Process]) -> float:
    """Resident memory now in 10⁶ bytes."""
    return sum(_rss_of(process) for process in family) / 1e6


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _rss_of(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
