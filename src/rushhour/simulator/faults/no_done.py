"""A stream that ends in good order, too early, and does not say so."""

from __future__ import annotations

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults import events
from rushhour.simulator.faults.contract import STREAMS, Serve, missed


class NoDone:
    """HTTP is satisfied: last chunk, open connection. But neither a finish reason nor `[DONE]` came."""

    surfaces = STREAMS
    about = "a stream ends cleanly in the middle, without finish_reason and [DONE]"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Serve the call and end its stream early; a reply at once is left whole."""
        reply = await serve(visit)
        if reply.stream is None or not events.streams(reply):
            return missed(visit, reply)
        visit.entry.truncated = True
        reply.stream = events.first(reply.stream, events.middle(visit))
        return reply
