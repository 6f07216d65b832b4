"""`POST /v1/chat/completions`: an answer at once or as server-sent events, at a model's pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from rushhour.simulator import openai_errors, tokens
from rushhour.simulator.answering import Answerer
from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.profiles import ChatProfile
from rushhour.simulator.quota import Customer, Quota
from rushhour.simulator.wall import unix_now

_encode = msgspec.json.Encoder().encode
_MESSAGE_TOKENS = 4
_REPLY_TOKENS = 3


class Part(msgspec.Struct):
    """A part of a message's content; only text counts."""

    type: str
    text: str = ""


class Message(msgspec.Struct):
    """One turn of the conversation."""

    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        """Return the turn's text, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct):
    """How to stream."""

    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """The request's body; unknown fields are ignored."""

    model: str
    messages: list[Message]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = 1

    def ceiling(self) -> int | None:
        """Return the most tokens that the answer may have."""
        return self.max_completion_tokens or self.max_tokens


class Completion(msgspec.Struct, frozen=True):
    """An answer, cut into tokens, with what every chunk of it repeats."""

    id: str
    created: int
    model: str
    pieces: Sequence[str]
    finish_reason: str
    usage: dict[str, Any]


_decode = msgspec.json.Decoder(ChatBody).decode


class Chat:
    """The chat API of the simulated provider."""

    name = "chat"

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        self._profile = profile
        self._quota = quota
        self._answerer = answerer
        self.capacity = profile.latency.capacity
        self.faults: Mapping[str, float] = profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one route."""
        return {("POST", "/v1/chat/completions"): self.complete}

    def reset(self, *, data: bool) -> None:  # noqa: ARG002 - stores nothing of a client's
        """Fill the buckets."""
        self._quota.refill()

    async def complete(self, visit: Visit) -> Reply:
        """Answer one request: the headers leave with the first token, as the provider's do."""
        customer = self._quota.customer(visit)
        if isinstance(customer, Reply):
            return customer
        try:
            body = _decode(visit.request.body)
        except (msgspec.MsgspecError, ValueError) as wrong:
            return openai_errors.malformed(str(wrong))
        if not self._quota.knows(body.model):
            return openai_errors.unknown_model(body.model)
        reply = await self._answer(visit, customer, body)
        reply.headers.update(visit.headers)
        return reply

    async def _answer(self, visit: Visit, customer: Customer, body: ChatBody) -> Reply:
        characters = sum(len(message.text()) for message in body.messages)
        prompt = tokens.count(characters) + _MESSAGE_TOKENS * len(body.messages) + _REPLY_TOKENS
        wrong = self._refuse(body, prompt)
        if wrong is not None:
            self._quota.refuse(visit, customer, body.model)
            return wrong
        charged = self._charge(tokens.count(characters), body.ceiling() or 0)
        throttled = self._quota.admit(visit, customer, body.model, charged)
        if throttled is not None:
            return throttled
        completion = self._complete(visit, body, prompt)
        spent = completion.usage["completion_tokens"]
        visit.entry.tokens_in, visit.entry.tokens_out = prompt, spent
        visit.entry.cost_usd = self._quota.cost(body.model, prompt, spent)
        await asyncio.sleep(self._profile.latency.seconds(visit.draw) * visit.slowdown)
        rate = visit.draw.uniform("speed", *self._profile.tokens_per_s) / visit.slowdown
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            events = self._events(completion, rate, with_usage=with_usage)
            headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            return Reply(headers=headers, stream=events)
        await asyncio.sleep(spent / rate)
        return json_reply(_whole(completion))

    def _refuse(self, body: ChatBody, prompt: int) -> Reply | None:
        if not body.messages:
            return openai_errors.error(400, "'$.messages' is empty: send at least one message.", param="messages")
        if body.n not in (None, 1):
            return openai_errors.error(400, f"'$.n' is {body.n}; the simulator gives one choice.", param="n")
        ceiling = body.ceiling()
        if ceiling is not None and ceiling < 1:
            return openai_errors.error(400, f"'$.max_tokens' is {ceiling}; it must be at least 1.", param="max_tokens")
        limit = self._profile.context_tokens
        if prompt + (ceiling or 0) > limit:
            return openai_errors.context_too_long(limit, prompt + (ceiling or 0), "your messages and completion take")
        return None

    def _charge(self, prompt: int, ceiling: int) -> int:
        match self._profile.charge:
            case "max":
                return max(ceiling, prompt)
            case "sum":
                return ceiling + prompt
            case "prompt":
                return prompt

    def _complete(self, visit: Visit, body: ChatBody, prompt: int) -> Completion:
        asked = max((place for place, message in enumerate(body.messages) if message.role == "user"), default=-1)
        context = [message.text() for message in body.messages[:asked] if message.role in ("system", "developer")]
        cut = tokens.pieces(self._answerer.answer(context, body.messages[asked].text()))
        ceiling = body.ceiling()
        finish_reason = "length" if ceiling is not None and len(cut) > ceiling else "stop"
        cut = cut[:ceiling]
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(cut),
            "total_tokens": prompt + len(cut),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
        identity = f"chatcmpl-{visit.draw.hexadecimal('completion')}"
        return Completion(identity, int(unix_now()), body.model, cut, finish_reason, usage)

    async def _events(self, completion: Completion, rate: float, *, with_usage: bool) -> AsyncGenerator[bytes, None]:
        """Yield the events as their tokens come due; tokens that are late leave together."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        size = self._profile.tokens_per_chunk
        pieces = completion.pieces
        events = ["".join(pieces[start : start + size]) for start in range(0, len(pieces), size)]
        chunk = _Chunks(completion, with_usage=with_usage)
        yield chunk.event({"role": "assistant", "content": "", "refusal": None})
        sent = 0
        while sent < len(events):
            await asyncio.sleep(max(0.0, began + (sent + 1) * size / rate - clock.time()))
            due = min(len(events), max(sent + 1, int((clock.time() - began) * rate / size)))
            yield b"".join(chunk.event({"content": text}) for text in events[sent:due])
            sent = due
        yield chunk.event({}, completion.finish_reason) + chunk.last()


class _Chunks:
    """Writes the chunks of one stream; what all of them repeat is encoded once."""

    def __init__(self, completion: Completion, *, with_usage: bool) -> None:
        self._head = {
            "id": completion.id,
            "object": "chat.completion.chunk",
            "created": completion.created,
            "model": completion.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        self._start = b"data: " + _encode(self._head)[:-1] + b',"choices":[{"index":0,"delta":'
        self._end = b'}],"usage":null}\n\n' if with_usage else b"}]}\n\n"
        self._usage = completion.usage if with_usage else None

    def event(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """Return one event."""
        reason = b',"logprobs":null,"finish_reason":' + _encode(finish_reason)
        return self._start + _encode(delta) + reason + self._end

    def last(self) -> bytes:
        """Return the usage, if it was asked for, and the end mark."""
        usage = b""
        if self._usage is not None:
            usage = b"data: " + _encode({**self._head, "choices": [], "usage": self._usage}) + b"\n\n"
        return usage + b"data: [DONE]\n\n"


def _whole(completion: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(completion.pieces),
        "refusal": None,
        "annotations": [],
    }
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": completion.finish_reason,
    }
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": [choice],
        "usage": completion.usage,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
