"""An answer in OpenAI's shapes: the whole completion, or its chunks.

The citations come three ways: `[n]` in the text, `annotations` (what OpenAI's clients know, with the place in the file
that supports the statement), and `citations` at the top level (all we know of the passages). `rushhour` is the receipt.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from rushhour.clock import unix_now
from rushhour.hops.contract import Passage, Usage
from rushhour.rag.contract import Answer, Citation

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
    """Return one `url_citation` for each `[n]` in the text, with what a `file_citation` says beside it.

    All offsets are characters: those of the `url_citation` in the answer, those of the `file_citation` in the file.
    """
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start,
                "end_index": citation.end,
                "title": citation.passage.title,
                "url": citation.passage.source,
            },
            "file_citation": _cited(citation),
        }
        for citation in answer.citations
    ]


def _citations(answer: Answer) -> list[dict[str, Any]]:
    """Return each cited passage once, by number, with the place that supports the first statement that cites it."""
    first = {citation.number: citation for citation in reversed(answer.citations)}
    return [
        {
            "number": number,
            "title": citation.passage.title,
            "url": citation.passage.source,
            "heading": citation.passage.heading,
            "chunk_id": citation.passage.chunk_id,
            "text": _excerpt(citation.passage.text),
            **_cited(citation),
        }
        for number, citation in sorted(first.items())
    ]


def _cited(citation: Citation) -> dict[str, Any]:
    """Say where in which file the words stand that support a statement."""
    passage, place = citation.passage, citation.place
    return {
        "file": passage.file or _file(passage),
        "page": passage.page,
        "start": place.start,
        "end": place.end,
        "quote": _excerpt(citation.quote),
    }


def _file(passage: Passage) -> str:
    """Read the file's name out of a chunk's id: `{collection}/{file}/{hash}-{n}`."""
    return passage.chunk_id.partition("/")[2].rpartition("/")[0]


def _excerpt(text: str) -> str:
    if len(text) <= EXCERPT:
        return text
    return text[:EXCERPT].rsplit(maxsplit=1)[0] + " …"


def _receipt(answer: Answer) -> dict[str, Any]:
    told = answer.grounding
    return {"model": answer.model, "not_found": told.not_found, "confidence": told.confidence, **answer.receipt}
