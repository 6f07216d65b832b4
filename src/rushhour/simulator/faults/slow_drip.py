"""The reply arrives a little at a time, each little soon enough for a timeout between reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults import events
from rushhour.simulator.faults.contract import ANY, Serve, missed

_PARTS = 64
_GAP_S = (2.0, 5.0)


class SlowDrip:
    """An event, or a 64th of a body, every 2 to 5 s: whole in the end, after minutes. Only a deadline cuts it."""

    surfaces = ANY
    about = "the reply drips: an event, or a 64th of the body, every 2 to 5 s"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Serve the call and slow its reply down; an error is left as it is."""
        reply = await serve(visit)
        if reply.status != 200:
            return missed(visit, reply)
        pieces = _parts(reply.body) if reply.stream is None else events.single(reply.stream)
        reply.stream, reply.body = _dripping(pieces, visit.draw.uniform("slow_drip.gap", *_GAP_S)), b""
        return reply


async def _parts(body: bytes) -> AsyncGenerator[bytes, None]:
    size = max(1, -(-len(body) // _PARTS))
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def _dripping(stream: AsyncGenerator[bytes, None], gap: float) -> AsyncGenerator[bytes, None]:
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            await asyncio.sleep(gap)
            yield piece
