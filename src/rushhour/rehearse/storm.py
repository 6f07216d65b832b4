"""Monday's faults: told to the simulated provider when they are due, so that Friday is quiet."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rushhour.rehearse.provider import Provider
from rushhour.rehearse.scenario import BROWNOUT, Scenario, Window


@asynccontextmanager
async def storm(provider: Provider, scenario: Scenario) -> AsyncIterator[None]:
    """Let a scenario's faults strike while the block runs, each window at its time from now on.

    The provider forgets them with its next reset. Raises ChildFailed when the simulator cannot be told.
    """
    for surface, shares in scenario.faults.items():
        for kind, share in shares.items():
            await provider.fail(kind, surface, math.inf, share, None)
    due = [window for window in scenario.windows if not window.built_in]
    waiting = [asyncio.create_task(_at_its_time(provider, window)) for window in due]
    try:
        yield
    finally:
        for task in waiting:
            task.cancel()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):  # a window that could not be told makes the figures another scenario's
            raise end


async def _at_its_time(provider: Provider, window: Window) -> None:
    await asyncio.sleep(window.from_s)
    factor = window.factor if window.kind == BROWNOUT else None
    for surface in window.surfaces:
        await provider.fail(window.kind, surface, window.to_s - window.from_s, window.share, factor)
