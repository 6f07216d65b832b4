"""An error inside a stream whose status was 200."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults import events
from rushhour.simulator.faults.contract import STREAMS, Serve, missed

_MESSAGE = b"The server had an error while processing your request. Sorry about that!"
_CHAT = b'data: {"error":{"message":"' + _MESSAGE + b'","type":"server_error","param":null,"code":null}}\n\n'
_RESPONSES = (
    b'event: error\ndata: {"type":"error","sequence_number":%d,"code":"server_error","message":"'
    + _MESSAGE
    + b'","param":null}\n\n'
)


class SseError:
    """Some events, then an `error` object as an event, then the end, without a finish reason."""

    surfaces = STREAMS
    about = "a stream's middle holds an error object, after status 200"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Serve the call and end its stream with an error; a reply at once is left whole."""
        reply = await serve(visit)
        if reply.stream is None or not events.streams(reply):
            return missed(visit, reply)
        visit.entry.truncated = True
        count = events.middle(visit)
        named = visit.request.path.endswith("/responses")
        reply.stream = _then_error(events.first(reply.stream, count), named=named)
        return reply


async def _then_error(stream: AsyncGenerator[bytes, None], *, named: bool) -> AsyncGenerator[bytes, None]:
    sent = 0
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            sent += 1
            yield piece
    yield _RESPONSES % sent if named else _CHAT
