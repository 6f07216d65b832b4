"""An answer in OpenAI's shapes: the whole completion, or its chunks.

The citations come three ways: `[n]` in the text, `annotations` (what OpenAI's clients know), and `citations` at the
top level (all we know of the passages). `rushhour` is the receipt.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from rushhour.clock import unix_now
from rushhour.hops.contract import Passage, Usage
from rushhour.rag.contract import Answer

EXCERPT = 600
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class Completion:
    """The envelope of one answer: its id, time and model are the same in every chunk."""

    def __init__(self, collection: str, include_usage: bool = False) -> None:
        self._id = f"chatcmpl-{os.urandom(12).hex()}"
        self._created = unix_now()
        self._model = collection
        self._usage: Mapping[str, None] = {"usage": None} if include_usage else {}
        # A delta is a chunk that differs only in its text, so the rest of it is encoded once.
        chunk = self._chunk({"content": 0}, None)
        head, _, tail = chunk.partition(b'"content":0')
        self._head, self._tail = head + b'"content":', tail

    def whole(self, answer: Answer) -> bytes:
        """Return the body of a reply that is not streamed."""
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": _annotations(answer),
        }
        return _encode(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": self._created,
                "model": self._model,
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}],
                "usage": _usage(answer.usage),
                "citations": _citations(answer),
                "rushhour": _receipt(answer),
            }
        )

    def opening(self) -> bytes:
        """Return the first chunk: who speaks."""
        return self._chunk({"role": "assistant", "content": ""}, None)

    def delta(self, text: str) -> bytes:
        """Return a chunk of text."""
        return self._head + _encode(text) + self._tail

    def closing(self, answer: Answer) -> bytes:
        """Return the last chunk with a choice: the finish reason, the sources and the receipt."""
        extra = {"citations": _citations(answer), "rushhour": _receipt(answer)}
        return self._chunk({"annotations": _annotations(answer)}, answer.finish_reason, extra)

    def usage(self, answer: Answer) -> bytes:
        """Return the chunk with the usage, for those who asked for it."""
        return _event({**self._envelope(), "choices": [], "usage": _usage(answer.usage)})

    def _envelope(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }

    def _chunk(
        self, delta: Mapping[str, Any], finish_reason: str | None, extra: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._envelope(), "choices": [choice], **self._usage, **(extra or {})})


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: " + _encode(content) + b"\n\n"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _annotations(answer: Answer) -> list[dict[str, Any]]:
    """Return one `url_citation` for each `[n]` in the text; the offsets are characters."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start,
                "end_index": citation.end,
                "title": citation.passage.title,
                "url": citation.passage.source,
            },
        }
        for citation in answer.citations
    ]


def _citations(answer: Answer) -> list[dict[str, Any]]:
    """Return each cited passage once, by number."""
    cited = {citation.number: citation.passage for citation in answer.citations}
    return [
        {
            "number": number,
            "title": passage.title,
            "url": passage.source,
            "file": _file(passage),
            "heading": passage.heading,
            "page": passage.page,
            "chunk_id": passage.chunk_id,
            "text": _excerpt(passage.text),
        }
        for number, passage in sorted(cited.items())
    ]


def _file(passage: Passage) -> str:
    """Read the file's name out of a chunk's id: `{collection}/{file}/{hash}-{n}`."""
    return passage.chunk_id.partition("/")[2].rpartition("/")[0]


def _excerpt(text: str) -> str:
    if len(text) <= EXCERPT:
        return text
    return text[:EXCERPT].rsplit(maxsplit=1)[0] + " …"


def _receipt(answer: Answer) -> dict[str, Any]:
    return {"model": answer.model, **answer.receipt}
