"""The call is taken, and never answered."""

from __future__ import annotations

import asyncio

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults.contract import ANY, Serve


class Hang:
    """A hung socket: open, and silent until the client gives up. Only the client's own timeout ends it."""

    surfaces = ANY
    about = "the call is never answered, the connection stays open"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Wait until the client leaves, which cancels the wait."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("Nobody ends this wait but a cancellation.")
