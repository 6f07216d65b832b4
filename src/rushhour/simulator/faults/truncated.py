"""The body breaks off in the middle."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from rushhour.simulator.exchange import Ending, Reply, Visit
from rushhour.simulator.faults import events
from rushhour.simulator.faults.contract import ANY, Serve, missed


class Truncated:
    """Headers and a first part arrive, then the connection ends: chunked, so that only the last chunk is missing.

    What was generated is charged: the provider did its work.
    """

    surfaces = ANY

    def __init__(self, ending: Ending, about: str) -> None:
        self._ending = ending
        self.about = about

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Serve the call and cut its reply; an error is left whole."""
        reply = await serve(visit)
        if reply.status != 200:
            return missed(visit, reply)
        if reply.stream is not None:
            reply.stream = events.first(reply.stream, events.middle(visit))
        else:
            reply.stream, reply.body = _half(reply.body), b""
        visit.entry.truncated = True
        reply.ending = self._ending
        return reply


async def _half(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body[: len(body) // 2]
