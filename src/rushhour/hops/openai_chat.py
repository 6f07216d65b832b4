"""Chat over the OpenAI-compatible API: `POST {base_url}/chat/completions`, always streamed from the provider."""

from __future__ import annotations

import asyncio
from typing import Literal, NoReturn

import msgspec

from rushhour.errors import AttemptTimeout, MalformedReply
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest
from rushhour.hops.http_errors import event_error, provider_error
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.openai_stream import ChatStream
from rushhour.hops.transport import ByteStream, Reply, Transport

_ENCODER = msgspec.json.Encoder()
_HEADERS = {"content-type": "application/json", "accept": "text/event-stream"}
_LARGEST_REFUSAL = 64 * 1024


GATHER_S = 0.01
LEAST_GATHER_S = 0.05
MOST_GATHER_S = 0.25
"""After the first text, tokens gather for a moment before they are passed on: a provider sends each in a packet of its
own, and passing on each costs several times the CPU. A reader sees no difference between twenty updates a second and
eighty; in a rush hour, with a hundred streams open, there are four."""


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint; one call is one provider request.

    A call returns once the first text has arrived, within `timeout_s` seconds in all: until then every failure
    raises from the call, where it can be retried. Afterwards each read may take `read_timeout_s`, and a stream
    that is cut, or drips for that long, raises TruncatedStream, ConnectionLost or AttemptTimeout.

    Tokens gather for `gather_s` times the number of open streams, within bounds, before they are passed on (0: each at
    once). `max_tokens_key` is the name that the model knows the limit by: reasoning models of OpenAI take only
    `max_completion_tokens`.
    """

    def __init__(
        self,
        transport: Transport,
        model: str,
        timeout_s: float = 30.0,
        *,
        read_timeout_s: float | None = None,
        gather_s: float = GATHER_S,
        max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
    ) -> None:
        self._transport = transport
        self.model = model
        self._timeout_s = timeout_s
        self._read_timeout_s = timeout_s if read_timeout_s is None else read_timeout_s
        self._gather_s = gather_s
        self._open_streams = 0
        self._max_tokens_key = max_tokens_key

    async def __call__(self, request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        """Ask, wait for the first token, and hand over the stream."""
        try:
            async with asyncio.timeout(self._timeout_s):  # comments and empty events must not extend it
                answer = await self._open(request, call)
        except TimeoutError:
            raise AttemptTimeout(
                f"No first token of {self.model} came from {self._transport.peer.host} within "
                f"{self._timeout_s:g} s. {self._transport.peer.setting('TIMEOUT_S')} says how long that may take."
            ) from None
        self._open_streams += 1
        stream = Stream(answer, answer.aclose)
        stream.on_close(self._closed)
        return stream

    def _closed(self, _error: BaseException | None) -> None:
        self._open_streams -= 1

    def _gathering_s(self) -> float:
        """Seconds that tokens gather now: the busier, the longer."""
        if not self._gather_s:
            return 0.0
        return min(max(self._gather_s * self._open_streams, LEAST_GATHER_S), MOST_GATHER_S)

    async def _open(self, request: ChatRequest, call: Call) -> ChatStream:
        upstream = await self._transport.stream(
            "POST",
            "/chat/completions",
            self._body(request),
            _HEADERS,
            self._timeout_s,
            self._read_timeout_s,
        )
        try:
            emit_limits(upstream.headers, call)
            if not _streams(upstream):
                await self._refuse(upstream)
            answer = ChatStream(
                upstream, self._transport.peer, self.model, request, call, self._gathering_s, self._read_timeout_s
            )
            await answer.first()
        except BaseException:
            await upstream.aclose()
            raise
        return answer

    async def _refuse(self, upstream: ByteStream) -> NoReturn:
        peer = self._transport.peer
        reply = Reply(upstream.status, upstream.headers, await _whole(upstream))
        if not reply.ok:
            raise provider_error(peer, reply, self.model)
        if reply.body.lstrip().startswith(b'{"error"'):
            raise event_error(peer, reply.body, self.model)
        raise MalformedReply(
            f"{peer.host} answered a chat call with {reply.headers.get('content-type')} instead of a stream. "
            f"Does {peer.setting('BASE_URL')} lead to an OpenAI-compatible API that can stream?"
        )

    def _body(self, request: ChatRequest) -> bytes:
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            self._max_tokens_key: request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return _ENCODER.encode(body)


def _streams(upstream: ByteStream) -> bool:
    if not 200 <= upstream.status < 300:
        return False
    return not upstream.headers.get("content-type", "").startswith(("application/json", "text/html"))


async def _whole(upstream: ByteStream) -> bytes:
    """Read a refusal to its end, so that its connection can serve again."""
    parts = []
    size = 0
    while size < _LARGEST_REFUSAL and (part := await upstream.read()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
