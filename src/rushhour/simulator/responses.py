"""`POST /v1/responses`: the same model in the newer shape, with named events where it streams.

Nothing is stored, so a conversation must come whole: a `previous_response_id` is not found.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from rushhour.simulator import openai_errors
from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.generation import EVENT_STREAM, Asked, LanguageModel, Said, Turn
from rushhour.simulator.quota import Customer, Quota
from rushhour.simulator.wall import unix_now

_LEAST_CEILING = 16
_PLACE = {"output_index": 0, "content_index": 0}
_encode = msgspec.json.Encoder().encode


class Content(msgspec.Struct):
    """A part of an item's content; only text counts."""

    type: str
    text: str = ""


class Item(msgspec.Struct):
    """One item of the input; those without a role are no messages and are left out."""

    role: str = ""
    content: str | list[Content] = ""

    def turn(self) -> Turn:
        """Return the turn with its parts joined."""
        if isinstance(self.content, list):
            return Turn(self.role, "\n".join(part.text for part in self.content))
        return Turn(self.role, self.content)


class ResponsesBody(msgspec.Struct):
    """The request's body; unknown fields are ignored."""

    model: str
    input: str | list[Item]
    instructions: str | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    stream: bool | None = False
    tools: list[dict[str, Any]] | None = None

    def asked(self) -> Asked:
        """Return what the model is asked."""
        given = [Item("user", self.input)] if isinstance(self.input, str) else self.input
        turns = [item.turn() for item in given if item.role]
        if self.instructions:
            turns.insert(0, Turn("system", self.instructions))
        return Asked(self.model, turns, self.max_output_tokens, "max_output_tokens")

    def wrong(self) -> Reply | None:
        """Return the 400 for what the API, or this simulation of it, does not take."""
        if not self.input:
            return openai_errors.array_too_short("input")
        if not self.asked().turns:
            return openai_errors.error(400, "'input' holds no message: send at least one item with a role.")
        ceiling = self.max_output_tokens
        if ceiling is not None and ceiling < _LEAST_CEILING:
            return openai_errors.below_minimum("max_output_tokens", _LEAST_CEILING, ceiling)
        if self.previous_response_id is not None:
            return openai_errors.previous_response_not_found(self.previous_response_id)
        if self.tools:
            return openai_errors.error(400, "'tools' must be empty: the simulated model has none.", param="tools")
        return None


_decode = msgspec.json.Decoder(ResponsesBody).decode


class Responses:
    """The responses API in front of a language model."""

    def __init__(self, quota: Quota, model: LanguageModel) -> None:
        self._quota = quota
        self._model = model

    async def respond(self, visit: Visit) -> Reply:
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

    async def _answer(self, visit: Visit, customer: Customer, body: ResponsesBody) -> Reply:
        wrong = body.wrong()
        if wrong is not None:
            self._quota.refuse(visit, customer, body.model)
            return wrong
        said = await self._model.generate(visit, customer, body.asked())
        if isinstance(said, Reply):
            return said
        response = _Response(visit.draw.hexadecimal("response"), body, said)
        if body.stream:
            return Reply(headers=dict(EVENT_STREAM), stream=response.events())
        await said.finished()
        return json_reply(response.ended())


class _Response:
    """Writes one response, whole or event by event; every event carries its number."""

    def __init__(self, identity: str, body: ResponsesBody, said: Said) -> None:
        self._said = said
        self._message = f"msg_{identity}"
        self._number = 0
        self._head: dict[str, Any] = {
            "id": f"resp_{identity}",
            "object": "response",
            "created_at": int(unix_now()),
            "background": False,
            "error": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "model": body.model,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "metadata": {},
        }

    def ended(self) -> dict[str, Any]:
        """Return the response as it is at its end."""
        return self._state(self._outcome(), [self._item(self._outcome(), [self._part(self._said.text)])], self._usage())

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events from `response.created` to `response.completed`, or `response.incomplete`."""
        begun = self._state("in_progress", [], None)
        yield (
            self._event("response.created", response=begun)
            + self._event("response.in_progress", response=begun)
            + self._event("response.output_item.added", output_index=0, item=self._item("in_progress", []))
            + self._about_text("response.content_part.added", part=self._part(""))
        )
        async with aclosing(self._said.deltas()) as deltas:
            async for texts in deltas:
                yield b"".join(
                    self._about_text("response.output_text.delta", delta=text, logprobs=[]) for text in texts
                )
        part = self._part(self._said.text)
        yield (
            self._about_text("response.output_text.done", text=self._said.text, logprobs=[])
            + self._about_text("response.content_part.done", part=part)
            + self._event("response.output_item.done", output_index=0, item=self._item(self._outcome(), [part]))
            + self._event(f"response.{self._outcome()}", response=self.ended())
        )

    def _event(self, name: str, **content: Any) -> bytes:
        data = _encode({"type": name, "sequence_number": self._number, **content})
        self._number += 1
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"

    def _about_text(self, name: str, **content: Any) -> bytes:
        return self._event(name, item_id=self._message, **_PLACE, **content)

    def _outcome(self) -> str:
        return "completed" if self._said.complete else "incomplete"

    def _state(self, status: str, output: list[Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {**self._head, "status": status, "incomplete_details": cut, "output": output, "usage": usage}

    def _item(self, status: str, content: list[Any]) -> dict[str, Any]:
        return {"id": self._message, "type": "message", "status": status, "role": "assistant", "content": content}

    @staticmethod
    def _part(text: str) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def _usage(self) -> dict[str, Any]:
        said, spent = self._said, len(self._said.pieces)
        return {
            "input_tokens": said.prompt_tokens,
            "input_tokens_details": {"cached_tokens": said.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": spent,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt_tokens + spent,
        }
