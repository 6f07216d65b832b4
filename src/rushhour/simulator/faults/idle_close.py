"""The keep-alive race: the server closes an idle connection just as a call is sent over it."""

from __future__ import annotations

from rushhour.simulator.exchange import Ending, Reply, Visit
from rushhour.simulator.faults.contract import ANY, Serve, missed


class IdleClose:
    """FIN and request cross on the way; the server's kernel answers the request with a reset.

    Only a connection that has served a call can have been idle: the first call over one is served.
    """

    surfaces = ANY
    about = "the server closes the idle connection as the call arrives (a connection's first call is spared)"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Close a used connection at once."""
        if visit.request.connection.calls < 2:
            return missed(visit, await serve(visit))
        return Reply(ending=Ending.CLOSED_IDLE)
