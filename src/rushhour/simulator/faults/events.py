"""Server-sent events one at a time, for the faults that strike in the middle of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushhour.simulator.exchange import Reply, Visit

_CLOSING = (b"data: [DONE]", b'"finish_reason":"', b"event: response.output_text.done")
_END = b"\n\n"


def streams(reply: Reply) -> bool:
    """Tell whether a reply is a stream of events."""
    return reply.stream is not None and reply.status == 200


def middle(visit: Visit) -> int:
    """Return after how many events a fault strikes: between 3 and 15, by the call's luck."""
    return int(visit.draw.uniform("middle", 3, 16))


async def single(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield every event by itself, also where several came in one piece."""
    rest = b""
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            *events, rest = (rest + piece).split(_END)
            for event in events:
                yield event + _END
    if rest:
        yield rest


async def first(stream: AsyncGenerator[bytes, None], count: int) -> AsyncGenerator[bytes, None]:
    """Yield at most `count` events, and none of those that say how the answer ended."""
    async with aclosing(single(stream)) as events:
        async for event in events:
            if count == 0 or any(mark in event for mark in _CLOSING):
                return
            count -= 1
            yield event
