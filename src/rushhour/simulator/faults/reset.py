"""The connection is reset before any header: ECONNRESET."""

from __future__ import annotations

import asyncio

from rushhour.simulator.exchange import Ending, Reply, Visit
from rushhour.simulator.faults.contract import ANY, Serve


class Reset:
    """A peer that vanishes shortly after it read the request."""

    surfaces = ANY
    about = "the connection is reset before any header (ECONNRESET)"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Reset the connection within 100 ms."""
        await asyncio.sleep(visit.draw.uniform("reset.after", 0.0, 0.1))
        return Reply(ending=Ending.RESET)
