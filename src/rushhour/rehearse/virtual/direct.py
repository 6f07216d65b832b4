"""A lighter way to the simulated chat model, for crowds beyond what the wire's cost allows: no JSON, no token events.

Everything above the adapter is the product's. What is left out is what nobody's wait depends on: an answer comes in two
pieces, at the times at which the adapter would have passed on its first and its last. What `direct_surface` answers in
writing is read by the real adapter.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from rushhour.errors import AttemptTimeout
from rushhour.flow.allowance import LimitsSeen
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Usage, Used
from rushhour.hops.openai_chat import GATHER_S, LEAST_GATHER_S, MOST_GATHER_S, OpenAIChat
from rushhour.rehearse.virtual.direct_surface import DirectReply, DirectRequest, Words
from rushhour.rehearse.virtual.loop import pause
from rushhour.rehearse.virtual.patience import Patience
from rushhour.rehearse.virtual.transport import SimulatedTransport
from rushhour.simulator.exchange import Reply, Request
from rushhour.simulator.generation import Said
from rushhour.simulator.ledger import Connection

_PATH = "/chat/completions"


class DirectChat:
    """The adapter `OpenAIChat` without a wire; the times of its deltas are the same."""

    def __init__(self, transport: SimulatedTransport, model: str, timeout_s: float) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._plain = transport.request("POST", _PATH, b"", {})
        self.model = model
        self._timeout_s = timeout_s
        self._patience = Patience()
        self._open = 0

    async def __call__(self, request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        """Ask, wait for the first token, and hand over the stream."""
        connection = self._transport.idle_connection() or Connection()
        asked = self._asked(request, connection)
        try:
            with self._patience.until(self._loop.time() + self._timeout_s):
                sent = await self._transport.handle(asked)
        except TimeoutError as cause:
            connection.lost()
            raise AttemptTimeout(f"No first token of {self.model} came within {self._timeout_s:g} s.") from cause
        except BaseException:  # who leaves closes the connection
            connection.lost()
            raise
        self._transport.begun(sent, connection)
        if isinstance(sent, DirectReply) and sent.said is not None and sent.words is not None:
            return self._begin(asked, sent, sent.said, sent.words, call)
        handed = _Handed(self._transport, connection, sent)
        return await OpenAIChat(handed, self.model, self._timeout_s)(request, call)

    def _asked(self, request: ChatRequest, connection: Connection) -> DirectRequest:
        plain, body = self._plain, request.question.encode()  # a body tells calls apart
        return DirectRequest(
            plain.method, plain.path, plain.headers, body, connection=connection, model=self.model, prompt=request
        )

    def over(self, connection: Connection, *, reusable: bool) -> None:
        """Give a connection back."""
        self._transport.over(connection, reusable=reusable)

    def gathering_s(self) -> float:
        """Seconds for which the real adapter would gather tokens now."""
        return min(max(GATHER_S * self._open, LEAST_GATHER_S), MOST_GATHER_S)

    def _begin(
        self, asked: DirectRequest, sent: DirectReply, said: Said, words: Words, call: Call
    ) -> Stream[ChatDelta]:
        if asked.limits is not None:
            call.emit(LimitsSeen(call.hop, asked.limits))
        deltas = _Deltas(self, asked.connection, sent, said, words, call, self._loop)
        self._open += 1
        stream = Stream(deltas, deltas.aclose)
        stream.on_close(self._closed)
        return stream

    def _closed(self, _error: BaseException | None) -> None:
        self._open -= 1


class _Deltas(AsyncIterator[ChatDelta]):
    """An answer in two pieces: its first chunk, and all the rest when the reader would have the last of it."""

    def __init__(
        self,
        chat: DirectChat,
        connection: Connection,
        sent: DirectReply,
        said: Said,
        words: Words,
        call: Call,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._chat = chat
        self._loop = loop
        self._connection = connection
        self._sent = sent
        self._said = said
        self._words = words
        self._call = call
        self._told = 0
        self._whole_at = loop.time() + max(len(said.pieces) - said.chunk, 0) / said.rate
        self._ended = False

    async def __anext__(self) -> ChatDelta:
        self._told += 1
        if self._told == 1:
            return ChatDelta(self._words.first)
        if self._told == 2:
            await pause(self._loop, self._until_last_read())
            self._end(delivered=True)
            said = self._said
            usage = Usage(said.prompt_tokens, said.cached_tokens, len(said.pieces))
            self._call.emit(Used(self._call.hop, self._chat.model, usage))
            return ChatDelta(self._words.rest, "stop" if said.complete else "length", usage)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go; an answer that is not whole by now is aborted."""
        self._end(delivered=self._loop.time() >= self._whole_at)

    def _until_last_read(self) -> float:
        """Seconds until the read that finds the end: the reader looks once in each gathering time."""
        gathering = self._chat.gathering_s()
        return max(math.ceil((self._whole_at - self._loop.time()) / gathering), 1) * gathering

    def _end(self, *, delivered: bool) -> None:
        """Give back what the answer holds, once."""
        if not self._ended:
            self._ended = True
            self._sent.close(delivered=delivered, sent=self._words.size)
            self._chat.over(self._connection, reusable=delivered)


class _Handed(SimulatedTransport):
    """A transport for one reply that is there already."""

    def __init__(self, through: SimulatedTransport, connection: Connection, sent: Reply) -> None:
        super().__init__(through.handle, {})
        self._through = through
        self._connection_used = connection
        self._sent = sent

    async def exchange(self, request: Request) -> Reply:
        """Return the reply."""
        request.connection = self._connection_used
        return self._sent

    def over(self, connection: Connection, *, reusable: bool) -> None:
        """Give the connection back where it came from."""
        self._through.over(connection, reusable=reusable)
