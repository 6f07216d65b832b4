"""`POST /v1/chat/completions`: an answer at once or as server-sent events, at a model's pace."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from rushhour.simulator import openai_errors
from rushhour.simulator.answering import Answerer
from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.generation import EVENT_STREAM, Asked, LanguageModel, Said, Turn
from rushhour.simulator.profiles import ChatProfile
from rushhour.simulator.quota import Customer, Quota
from rushhour.simulator.responses import Responses
from rushhour.simulator.wall import unix_now

_MOST_STOPS = 4
_encode = msgspec.json.Encoder().encode


class Part(msgspec.Struct):
    """A part of a message's content; only text counts."""

    type: str
    text: str = ""


class Message(msgspec.Struct):
    """One turn of the conversation."""

    role: str
    content: str | list[Part] | None = None

    def turn(self) -> Turn:
        """Return the turn with its parts joined."""
        if isinstance(self.content, list):
            return Turn(self.role, "\n".join(part.text for part in self.content))
        return Turn(self.role, self.content or "")


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
    stop: str | list[str] | None = None
    n: int | None = 1

    def asked(self) -> Asked:
        """Return what the model is asked."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        turns = [message.turn() for message in self.messages]
        if self.max_completion_tokens is not None:
            return Asked(self.model, turns, self.max_completion_tokens, "max_completion_tokens", stop)
        return Asked(self.model, turns, self.max_tokens, "max_tokens", stop)

    def wrong(self) -> Reply | None:
        """Return the 400 for what no chat API takes."""
        if not self.messages:
            return openai_errors.array_too_short("messages")
        if self.n not in (None, 1):
            return openai_errors.error(400, f"'$.n' is {self.n}; the simulator gives one choice.", param="n")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            return openai_errors.both_ceilings()
        if self.stream_options is not None and not self.stream:
            return openai_errors.stream_options_without_stream()
        if isinstance(self.stop, list) and len(self.stop) > _MOST_STOPS:
            return openai_errors.array_too_long("stop", _MOST_STOPS, len(self.stop))
        return None


_decode = msgspec.json.Decoder(ChatBody).decode


class Chat:
    """The language model of the simulated provider, in its two shapes: chat completions and responses."""

    name = "chat"

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        self._quota = quota
        self._model = LanguageModel(profile, quota, answerer)
        self._responses = Responses(quota, self._model)
        self.capacity = profile.latency.capacity
        self.faults: Mapping[str, float] = profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the two routes."""
        return {
            ("POST", "/v1/chat/completions"): self.complete,
            ("POST", "/v1/responses"): self._responses.respond,
        }

    def reset(self, *, data: bool) -> None:  # noqa: ARG002 - stores nothing of a client's
        """Fill the buckets and forget the prompts."""
        self._model.reset()

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
        wrong = body.wrong()
        if wrong is not None:
            self._quota.refuse(visit, customer, body.model)
            return wrong
        said = await self._model.generate(visit, customer, body.asked())
        if isinstance(said, Reply):
            return said
        head = {
            "id": f"chatcmpl-{visit.draw.hexadecimal('completion')}",
            "created": int(unix_now()),
            "model": body.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            return Reply(headers=dict(EVENT_STREAM), stream=_events(head, said, with_usage=with_usage))
        await said.finished()
        return json_reply(_whole(head, said))


async def _events(head: Mapping[str, Any], said: Said, *, with_usage: bool) -> AsyncGenerator[bytes, None]:
    chunk = _Chunks(head, said, with_usage=with_usage)
    yield chunk.event({"role": "assistant", "content": "", "refusal": None})
    async with aclosing(said.deltas()) as deltas:
        async for texts in deltas:
            yield b"".join(chunk.event({"content": text}) for text in texts)
    yield chunk.event({}, _finish_reason(said)) + chunk.last()


class _Chunks:
    """Writes the chunks of one stream; what all of them repeat is encoded once."""

    def __init__(self, head: Mapping[str, Any], said: Said, *, with_usage: bool) -> None:
        self._head = {"object": "chat.completion.chunk", **head}
        self._start = b"data: " + _encode(self._head)[:-1] + b',"choices":[{"index":0,"delta":'
        self._end = b'}],"usage":null}\n\n' if with_usage else b"}]}\n\n"
        self._usage = _usage(said) if with_usage else None

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


def _whole(head: Mapping[str, Any], said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(said)}
    return {"object": "chat.completion", **head, "choices": [choice], "usage": _usage(said)}


def _finish_reason(said: Said) -> str:
    return "stop" if said.complete else "length"


def _usage(said: Said) -> dict[str, Any]:
    spent = len(said.pieces)
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": spent,
        "total_tokens": said.prompt_tokens + spent,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
