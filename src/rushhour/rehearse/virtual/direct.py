"""A lighter way to the simulated chat model, for crowds beyond what the wire's cost allows: no JSON, no token events.

Limits, charging, latency, faults, the queue and the ledger are the simulator's own, and everything above the adapter is
the product's. What is left out is what nobody's wait depends on: an answer comes in two pieces, at the times at which
the adapter would have passed on its first and its last. A call that a fault strikes, or that is refused, goes over the
wire after all, so that the real adapter meets it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from rushhour.errors import AttemptTimeout
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Usage, Used
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.openai_chat import GATHER_S, LEAST_GATHER_S, MOST_GATHER_S, OpenAIChat
from rushhour.rehearse.virtual.transport import SimulatedTransport
from rushhour.simulator.answering import Answerer
from rushhour.simulator.chat import Chat
from rushhour.simulator.exchange import Reply as Sent
from rushhour.simulator.exchange import Request, Visit
from rushhour.simulator.generation import Asked, LanguageModel, Said, Turn
from rushhour.simulator.ledger import Connection
from rushhour.simulator.profiles import ChatProfile
from rushhour.simulator.quota import Quota

_PATH = "/chat/completions"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class DirectRequest(Request):
    """A chat call that was not written down: `model` and `prompt` say what its body would."""

    model: str = ""
    prompt: ChatRequest | None = None

    def write_down(self) -> None:
        """Make the body that the real adapter would have sent."""
        assert self.prompt is not None  # noqa: S101  # whoever makes one gives it
        turns = [{"role": turn.role, "content": turn.content} for turn in self.prompt.messages]
        options = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": self.prompt.max_tokens}
        self.body = _encode({"model": self.model, "messages": turns, **options})


@dataclass(slots=True)
class DirectReply(Sent):
    """An answer that was not written down either."""

    said: Said | None = None


class _RememberingModel(LanguageModel):
    """A language model that finds an answer once, however often it is asked the same."""

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        super().__init__(profile, quota, answerer)
        self._found: dict[tuple[int | None, str], Said] = {}

    def _say(self, asked: Asked, prompt_tokens: int, cached: int, rate: float) -> Said:
        key = (asked.ceiling, asked.turns[-1].text)
        known = self._found.get(key)
        if known is None:
            known = self._found[key] = super()._say(asked, prompt_tokens, cached, rate)
        return Said(known.pieces, known.complete, prompt_tokens, cached, rate, known.chunk)


class DirectChatSurface(Chat):
    """The simulated chat API, which takes direct calls beside written ones."""

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        super().__init__(profile, quota, answerer)
        self._model = _RememberingModel(profile, quota, answerer)

    async def complete(self, visit: Visit) -> Sent:
        """Answer one request."""
        request = visit.request
        if not isinstance(request, DirectRequest) or request.prompt is None:
            return await super().complete(visit)
        if visit.entry.fault:
            request.write_down()
            return await super().complete(visit)
        customer = self._quota.customer(visit)
        if isinstance(customer, Sent):
            return customer
        turns = [Turn(turn.role, turn.content) for turn in request.prompt.messages]
        said = await self._model.generate(visit, customer, Asked(request.model, turns, request.prompt.max_tokens))
        if isinstance(said, Sent):
            said.headers.update(visit.headers)
            return said
        return DirectReply(headers=visit.headers, said=said)


class DirectChat:
    """The adapter `OpenAIChat` without a wire; the times of its deltas are the same."""

    def __init__(self, transport: SimulatedTransport, model: str, timeout_s: float) -> None:
        self._transport = transport
        self.model = model
        self._timeout_s = timeout_s
        self._open = 0

    async def __call__(self, request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        """Ask, wait for the first token, and hand over the stream."""
        asked = self._request(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                sent = await self._transport.exchange(asked)
                if isinstance(sent, DirectReply) and sent.said is not None:
                    return await self._begin(asked, sent, sent.said, call)
        except TimeoutError as cause:
            raise AttemptTimeout(f"No first token of {self.model} came within {self._timeout_s:g} s.") from cause
        handed = _Handed(self._transport, asked.connection, sent)
        return await OpenAIChat(handed, self.model, self._timeout_s)(request, call)

    def _request(self, prompt: ChatRequest) -> DirectRequest:
        """Make a request; its body tells it from others, as a written one's would."""
        plain = self._transport.request("POST", _PATH, prompt.question.encode(), {})
        return DirectRequest(plain.method, plain.path, plain.headers, plain.body, model=self.model, prompt=prompt)

    async def _begin(self, asked: DirectRequest, sent: DirectReply, said: Said, call: Call) -> Stream[ChatDelta]:
        emit_limits(sent.headers, call)
        words = _Words(self, asked.connection, sent, said, call)
        try:
            await words.first()
        except BaseException:
            await words.aclose()
            raise
        self._open += 1
        stream = Stream(words, words.aclose)
        stream.on_close(self._closed)
        return stream

    def over(self, connection: Connection, *, reusable: bool) -> None:
        """Give a connection back."""
        self._transport.over(connection, reusable=reusable)

    def gathering_s(self) -> float:
        """Seconds for which the real adapter would gather tokens now."""
        return min(max(GATHER_S * self._open, LEAST_GATHER_S), MOST_GATHER_S)

    def _closed(self, _error: BaseException | None) -> None:
        self._open -= 1


class _Words(AsyncIterator[ChatDelta]):
    """An answer in two pieces: its first chunk, and all the rest when the reader would have the last of it."""

    def __init__(self, chat: DirectChat, connection: Connection, sent: DirectReply, said: Said, call: Call) -> None:
        loop = asyncio.get_running_loop()
        self._chat = chat
        self._connection = connection
        self._sent = sent
        self._said = said
        self._call = call
        self._told = 0
        self._begun = loop.time()
        self._whole_at = self._begun + len(said.pieces) / said.rate
        self._ending = loop.call_at(self._whole_at, self._end, True)

    async def first(self) -> None:
        """Wait for the first chunk."""
        await asyncio.sleep(self._said.chunk / self._said.rate)

    async def __anext__(self) -> ChatDelta:
        said = self._said
        self._told += 1
        if self._told == 1:
            return ChatDelta("".join(said.pieces[: said.chunk]))
        if self._told == 2:
            await self._last_read()
            usage = Usage(said.prompt_tokens, said.cached_tokens, len(said.pieces))
            self._call.emit(Used(self._call.hop, self._chat.model, usage))
            return ChatDelta("".join(said.pieces[said.chunk :]), "stop" if said.complete else "length", usage)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go; an answer that is not whole is aborted."""
        if not self._sent_over:
            self._ending.cancel()
            self._end(False)

    @property
    def _sent_over(self) -> bool:
        return self._sent.on_close is None

    async def _last_read(self) -> None:
        """Wait until the read that finds the end: the reader looks once in each gathering time."""
        now, pause = asyncio.get_running_loop().time(), self._chat.gathering_s()
        reads = max(math.ceil((self._whole_at - now) / pause), 1)
        await asyncio.sleep(reads * pause)

    def _end(self, delivered: bool) -> None:
        self._sent.close(delivered=delivered, sent=sum(map(len, self._said.pieces)))
        self._chat.over(self._connection, reusable=delivered)


class _Handed(SimulatedTransport):
    """A transport for one reply that is there already."""

    def __init__(self, through: SimulatedTransport, connection: Connection, sent: Sent) -> None:
        super().__init__(through.handle, {})
        self._through = through
        self._connection_used = connection
        self._sent = sent

    async def exchange(self, request: Request) -> Sent:
        """Return the reply."""
        request.connection = self._connection_used
        return self._sent

    def over(self, connection: Connection, *, reusable: bool) -> None:
        """Give the connection back where it came from."""
        self._through.over(connection, reusable=reusable)
