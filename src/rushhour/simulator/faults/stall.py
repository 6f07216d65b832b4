"""A stream that stands still in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults import events
from rushhour.simulator.faults.contract import STREAMS, Serve, missed


class Stall:
    """Some events, then silence on an open connection: only a timeout between reads, or a deadline, ends it."""

    surfaces = STREAMS
    about = "a stream stands still after some events, the connection stays open"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Serve the call and stall its stream; a reply at once is left whole."""
        reply = await serve(visit)
        if reply.stream is None or not events.streams(reply):
            return missed(visit, reply)
        visit.entry.truncated = True
        reply.stream = _then_silence(events.first(reply.stream, events.middle(visit)))
        return reply


async def _then_silence(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            yield piece
    await asyncio.get_running_loop().create_future()
