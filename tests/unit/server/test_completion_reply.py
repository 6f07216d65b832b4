"""The shapes on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushhour.hops.contract import Passage, Usage
from rushhour.rag.contract import Answer, Citation, Grounding, Place
from rushhour.server.completion_reply import EXCERPT, Completion

LISTS = Passage(
    2,
    "manual/ref/lists.md/00aa-3",
    "Types. A list is a sequence.",
    "Lists",
    "https://x/lists",
    "Types",
    7,
    file="ref/lists.md",
    start=100,
    end=128,
)
SETS = Passage(1, "manual/sets.md/00bb-0", "word " * 400, "Sets", "sets.md")
ANSWER = Answer(
    'Lists "hold" [2], sets too [1][2].',
    (Citation(2, 13, 16, LISTS, Place(7, 28)), Citation(1, 27, 30, SETS), Citation(2, 30, 33, LISTS)),
    (SETS, LISTS),
    "length",
    "small",
    Usage(100, 40, 5),
    {"cost_usd": 0.1, "degraded": ["reduced"]},
    Grounding(confidence=0.75),
)


def decoded(event: bytes) -> Any:
    """Return the object in one `data:` event."""
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return json.loads(event[6:])


def test_each_mark_is_an_annotation_and_each_passage_a_citation() -> None:
    """Annotations repeat as the marks do; citations are listed once, by number."""
    whole = json.loads(Completion("manual").whole(ANSWER))
    message = whole["choices"][0]["message"]

    cited = [annotation["url_citation"] for annotation in message["annotations"]]
    assert [message["content"][c["start_index"] : c["end_index"]] for c in cited] == ["[2]", "[1]", "[2]"]
    assert [c["url"] for c in cited] == ["https://x/lists", "sets.md", "https://x/lists"]
    assert whole["citations"][1] == {
        "number": 2,
        "title": "Lists",
        "url": "https://x/lists",
        "file": "ref/lists.md",
        "heading": "Types",
        "page": 7,
        "chunk_id": "manual/ref/lists.md/00aa-3",
        "text": "Types. A list is a sequence.",
        "start": 107,
        "end": 128,
        "quote": "A list is a sequence.",
    }
    assert [citation["number"] for citation in whole["citations"]] == [1, 2]
    assert whole["model"] == "manual"
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["rushhour"] == {
        "model": "small",
        "not_found": False,
        "confidence": 0.75,
        "cost_usd": 0.1,
        "degraded": ["reduced"],
    }
    assert whole["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "total_tokens": 105,
        "prompt_tokens_details": {"cached_tokens": 40},
    }


def test_each_mark_says_where_its_support_stands() -> None:
    """File, page, characters and words of the sentence, streamed or not; without one, those of the whole passage."""
    completion = Completion("manual")
    message = json.loads(completion.whole(ANSWER))["choices"][0]["message"]
    streamed = decoded(completion.closing(ANSWER))["choices"][0]["delta"]

    assert streamed["annotations"] == message["annotations"]
    sentence, sets, whole = (annotation["file_citation"] for annotation in message["annotations"])
    quoted = {"file": "ref/lists.md", "page": 7}
    assert sentence == {**quoted, "start": 107, "end": 128, "quote": "A list is a sequence."}
    assert whole == {**quoted, "start": 100, "end": 128, "quote": "Types. A list is a sequence."}
    assert (sets["file"], sets["page"]) == ("sets.md", None)
    assert sets["quote"].endswith("word …")


def test_long_passages_are_quoted_in_part() -> None:
    """An excerpt ends between two words, and says that it goes on."""
    text = json.loads(Completion("manual").whole(ANSWER))["citations"][0]["text"]
    assert text.endswith("word …")
    assert len(text) <= EXCERPT + 2


@pytest.mark.parametrize("include_usage", [False, True])
def test_chunks_share_one_envelope(include_usage: bool) -> None:
    """Id, time and model are the same in every chunk; `usage: null` is there only when the usage was asked for."""
    completion = Completion('tricky "content":0 name', include_usage)
    events = [completion.opening(), completion.delta('a "quote"\n'), completion.closing(ANSWER)]
    first, delta, last = (decoded(event) for event in events)

    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert delta["choices"][0] == {
        "index": 0,
        "delta": {"content": 'a "quote"\n'},
        "logprobs": None,
        "finish_reason": None,
    }
    assert last["choices"][0]["finish_reason"] == "length"
    assert len(last["choices"][0]["delta"]["annotations"]) == 3
    assert last["citations"] == json.loads(completion.whole(ANSWER))["citations"]
    for chunk in (first, delta, last):
        assert (chunk["id"], chunk["model"]) == (first["id"], 'tricky "content":0 name')
        assert chunk["object"] == "chat.completion.chunk"
        assert ("usage" in chunk) is include_usage
        assert chunk.get("usage") is None


def test_usage_chunk_has_no_choice() -> None:
    """The last chunk carries the usage and nothing to read."""
    chunk = decoded(Completion("manual", True).usage(ANSWER))
    assert chunk["choices"] == []
    assert chunk["usage"]["total_tokens"] == 105
