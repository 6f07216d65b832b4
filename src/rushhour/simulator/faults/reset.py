"""The connection is reset before any header: ECONNRESET."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rushhour.simulator.exchange import Ending, Reply, Visit


class Reset:
    """A peer that vanishes shortly after it read the request."""

    async def strike(self, visit: Visit, serve: Callable[[Visit], Awaitable[Reply]]) -> Reply:  # noqa: ARG002 - never served
        """Reset the connection within 100 ms."""
        await asyncio.sleep(visit.draw.uniform("reset.after", 0.0, 0.1))
        return Reply(ending=Ending.RESET)
