"""`POST /v1/chat/completions`, the hot route: plain ASGI, so that nothing stands between the engine and the socket."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from rushhour.errors import TruncatedStream
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Ask, Delta
from rushhour.server.completion_reply import DONE, Completion
from rushhour.server.completion_request import Asked, parse
from rushhour.server.contract import Metrics
from rushhour.server.drain import Drain
from rushhour.server.event_stream import EventStream
from rushhour.server.guard import Guard
from rushhour.server.incoming import Keys, patience, read_body, wants_fresh
from rushhour.server.options import ServerOptions


class ChatCompletions:
    """Asks the engine and sends its answer, whole or as it comes; every failure is raised for `Edge` to tell."""

    def __init__(self, engine: Ask, options: ServerOptions, metrics: Metrics, keys: Keys, drain: Drain) -> None:
        self._engine = engine
        self._options = options
        self._metrics = metrics
        self._keys = keys
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = scope["headers"]
        tenant = self._keys.tenant(headers)
        deadline = asyncio.get_running_loop().time() + patience(headers, self._options.deadline_s)
        body = await read_body(scope, receive, self._options.max_body_bytes, deadline)
        asked = parse(body, fresh=wants_fresh(headers))
        call = Call(tenant=tenant, deadline=deadline, emit=self._metrics.emit)
        async with Guard(receive, self._drain, deadline):
            answer = await (self._stream if asked.stream else self._whole)(asked, call, send)
        self._metrics.answered(answer)

    async def _whole(self, asked: Asked, call: Call, send: Send) -> Answer:
        answer: Answer | None = None
        async with await self._engine(asked.question, call) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    answer = piece
        answer = _complete(answer)
        body = Completion(asked.question.collection).whole(answer)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})
        return answer

    async def _stream(self, asked: Asked, call: Call, send: Send) -> Answer:
        options = self._options
        completion = Completion(asked.question.collection, asked.include_usage)
        async with EventStream(send, self._metrics, options.commit_after_s, options.comment_every_s) as out:
            pieces = await self._engine(asked.question, Call(call.tenant, call.deadline, emit=out.emit))
            answer: Answer | None = None
            opening = completion.opening()  # goes with the first words: one write, one packet
            async with pieces:
                async for piece in pieces:
                    if isinstance(piece, Delta):
                        await out.write(opening + completion.delta(piece.text))
                        opening = b""
                    elif isinstance(piece, Answer):
                        answer = piece
            answer = _complete(answer)
            last = opening + completion.closing(answer)
            if asked.include_usage:
                last += completion.usage(answer)
            await out.end(last + DONE)
        return answer


def _complete(answer: Answer | None) -> Answer:
    if answer is None:
        raise TruncatedStream("The answer broke off before its end; ask again.")
    return answer
