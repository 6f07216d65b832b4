"""The connection is closed in good order, but without an answer."""

from __future__ import annotations

import asyncio

from rushhour.simulator.exchange import Ending, Reply, Visit
from rushhour.simulator.faults.contract import ANY, Serve


class Closed:
    """A process that is replaced while it works: its sockets close, FIN goes out, the request is lost."""

    surfaces = ANY
    about = "the connection closes (FIN) without a response"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Close the connection within half a second."""
        await asyncio.sleep(visit.draw.uniform("closed.after", 0.0, 0.5))
        return Reply(ending=Ending.CLOSED)
