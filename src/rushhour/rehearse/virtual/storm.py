"""Monday's faults, told to the simulator in this process when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rushhour.rehearse.scenario import BROWNOUT, Scenario, Window
from rushhour.simulator import Simulator
from rushhour.simulator.faults.orders import Order

_FOR_EVER_S = 7 * 86_400.0


@asynccontextmanager
async def storm(simulator: Simulator, scenario: Scenario) -> AsyncIterator[None]:
    """Let a scenario's faults strike while the block runs, each window at its time from now on."""
    for surface, shares in scenario.faults.items():
        for kind, share in shares.items():
            simulator.inject(Order(fault=kind, surface=surface, for_s=_FOR_EVER_S, share=share))
    loop = asyncio.get_running_loop()
    due = [
        loop.call_later(window.from_s, _begin, simulator, window) for window in scenario.windows if not window.built_in
    ]
    try:
        yield
    finally:
        for timer in due:
            timer.cancel()


def _begin(simulator: Simulator, window: Window) -> None:
    factor = window.factor if window.kind == BROWNOUT else None
    lasts = min(window.to_s - window.from_s, _FOR_EVER_S)
    for surface in window.surfaces:
        simulator.inject(Order(fault=window.kind, surface=surface, for_s=lasts, share=window.share, factor=factor))
