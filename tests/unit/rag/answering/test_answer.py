"""The way of a query, on scripted hops and a catalog in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rushhour.catalog.contract import Chunk, Collection, LexicalMatch
from rushhour.errors import (
    DeadlineExceeded,
    InvalidRequest,
    QueueFull,
    Rejected,
    RushhourError,
    Unavailable,
    UnknownCollection,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Hop, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.reuse import LruCache
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, Match, Message, Usage
from rushhour.rag.answering.answer import NOTHING_FOUND, Answerer
from rushhour.rag.contract import Answer, Delta, Piece, Question, Sources
from rushhour.rag.retrieval.retrieve import Retriever, RetrieveSettings
from rushhour.testing import Scripted

VECTOR = np.ones(4, dtype=np.float32) / 2


class Shelf:
    """A catalog of three chunks, of which `stale` are invisible."""

    def __init__(self, stale: Sequence[str] = ()) -> None:
        self._chunks = {
            name: Chunk(name, "with.txt", n, f"text of {name}", "The with statement", source="python:with")
            for n, name in enumerate(("a", "b", "c"))
            if name not in stale
        }
        self.version = 1
        self.searches = 0
        self.hits = [LexicalMatch("b", 9.0), LexicalMatch("a", 3.0)]

    async def collection(self, name: str) -> Collection:
        """Know one collection."""
        if name != "manual":
            raise UnknownCollection(f"no collection {name}")
        return Collection(name, "embedder", self.version)

    async def lexical(self, collection: str, query: str, top_k: int) -> list[LexicalMatch]:
        """Return the scripted hits."""
        self.searches += 1
        return self.hits

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones."""
        return {name: self._chunks[name] for name in ids if name in self._chunks}


async def written(*pieces: str) -> AsyncIterator[ChatDelta]:
    """Write an answer piece by piece."""
    for piece in pieces:
        yield ChatDelta(piece)
    yield ChatDelta("", "stop", Usage(100, 0, 20))


def engine(
    shelf: Shelf | None = None, chat: Scripted | None = None, embed: Hop[Any, Any] | None = None, **settings: Any
) -> tuple[Answerer, Scripted]:
    """Assemble an engine whose dense side finds a, c and an orphan."""
    chat = chat or Scripted(Stream(written("It wraps ", "a block [1", "] and [9].")))
    catalog = shelf or Shelf()
    retriever = Retriever(
        catalog,  # type: ignore[arg-type]  # a stand-in
        embed or Scripted(VECTOR, forever=True),
        Scripted([Match("a", 0.9), Match("orphan", 0.8), Match("c", 0.2)], forever=True),
        RetrieveSettings(**settings),
        LruCache(10),
    )
    return Answerer(retriever, chat, "model-x", {}), chat


async def read(stream: Stream[Piece]) -> tuple[Sources, str, Answer]:
    """Read all pieces."""
    async with stream:
        pieces = [piece async for piece in stream]
    first, *middle, last = pieces
    assert isinstance(first, Sources)
    assert isinstance(last, Answer)
    return first, "".join(piece.text for piece in middle if isinstance(piece, Delta)), last


async def test_an_answer_with_checked_citations() -> None:
    """Sources first, then text without invalid markers, then the whole with its citations."""
    ask, chat = engine()

    sources, text, answer = await read(await ask(Question("manual", "what does with do?"), Call()))

    assert [passage.chunk_id for passage in sources.passages] == ["a", "b", "c"]
    assert text == answer.text == "It wraps a block [1] and ."
    assert [citation.passage.chunk_id for citation in answer.citations] == ["a"]
    assert (answer.usage.output_tokens, answer.finish_reason, answer.model) == (20, "stop", "model-x")
    prompt = chat.requests[0].messages[-1].content
    assert "[1] <passage-" in prompt
    assert ' title="The with statement">\n\ntext of a\n\n</passage-' in prompt
    assert prompt.endswith("Question: what does with do?")


async def test_stale_chunks_are_never_shown() -> None:
    """A vector whose chunk is no longer visible is passed over."""
    ask, _ = engine(Shelf(stale=["a"]))

    sources, _, _ = await read(await ask(Question("manual", "q"), Call()))

    assert [passage.chunk_id for passage in sources.passages] == ["b", "c"]


async def test_without_the_embedder_the_answer_is_lexical_and_says_so() -> None:
    """An outage degrades the answer; it does not become a fake nothing-found (rule 12)."""
    ask, _ = engine(embed=Scripted(Unavailable("down")))

    sources, _, answer = await read(await ask(Question("manual", "q"), Call()))

    assert [passage.chunk_id for passage in sources.passages] == ["b", "a"]
    assert answer.receipt["degraded"] == ["lexical_only"]


@pytest.mark.parametrize("refusal", [QueueFull(), WouldMissDeadline(retry_after=9)])
async def test_an_embedder_that_has_no_room_is_done_without(refusal: RushhourError) -> None:
    """Better a lexical answer than none (rule 12)."""
    ask, _ = engine(embed=Scripted(refusal))

    _, _, answer = await read(await ask(Question("manual", "q"), Call()))

    assert answer.receipt["degraded"] == ["lexical_only"]


async def test_a_slow_embedder_leaves_the_generator_its_time() -> None:
    """It may take half of what is left; then the answer goes on without it."""
    slow = stack(Scripted(VECTOR, seconds=60), Deadline())
    ask, _ = engine(embed=slow)

    _, _, answer = await read(await ask(Question("manual", "q"), Call(deadline=30)))

    assert asyncio.get_running_loop().time() == 15
    assert answer.receipt["degraded"] == ["lexical_only"]


async def test_out_of_time_is_told_as_such() -> None:
    """No answer is begun after the deadline."""
    ask, chat = engine(embed=Scripted(DeadlineExceeded()))
    await asyncio.sleep(5)

    with pytest.raises(DeadlineExceeded):
        await ask(Question("manual", "q"), Call(deadline=4))
    assert chat.requests == []


async def test_the_same_text_is_shown_once() -> None:
    """Of equal passages the one nearest to its document's title is kept, at the better one's place."""
    shelf = Shelf()
    a, b = shelf._chunks["a"], shelf._chunks["b"]
    shelf._chunks["a"] = replace(a, heading="Compound statements > The with statement")
    shelf._chunks["b"] = replace(b, text=a.text)
    ask, _ = engine(shelf)

    sources, _, _ = await read(await ask(Question("manual", "q"), Call()))

    assert [passage.chunk_id for passage in sources.passages] == ["b", "c"]


async def test_an_embedder_that_refuses_is_an_error() -> None:
    """A wrong setting is told, not papered over."""
    ask, _ = engine(embed=Scripted(Rejected("no such model")))

    with pytest.raises(Rejected):
        await ask(Question("manual", "q"), Call())


async def test_nothing_found_is_said_without_paying() -> None:
    """No passages: an honest sentence, and no call to the generator."""
    shelf = Shelf(stale=["a", "b", "c"])
    chat = Scripted()
    ask, _ = engine(shelf, chat)

    _, text, answer = await read(await ask(Question("manual", "q"), Call()))

    assert text == answer.text == NOTHING_FOUND
    assert chat.requests == []


async def test_passages_fit_the_budget() -> None:
    """What does not fit the context is left out, but never the first."""
    ask, _ = engine(context_tokens=6)

    sources, _, _ = await read(await ask(Question("manual", "q"), Call()))

    assert len(sources.passages) == 2


@pytest.mark.parametrize("text", ["", "   \n", "x" * 20_000])
async def test_questions_that_cannot_be(text: str) -> None:
    """Empty and endless questions are refused by name."""
    ask, _ = engine()

    with pytest.raises(InvalidRequest, match="question"):
        await ask(Question("manual", text), Call())


async def test_an_unknown_collection() -> None:
    """Nothing is spent on a collection that does not exist."""
    embed = Scripted()
    ask, chat = engine(embed=embed)

    with pytest.raises(UnknownCollection):
        await ask(Question("nowhere", "q"), Call())
    assert embed.requests == chat.requests == []


async def test_leaving_closes_the_generator() -> None:
    """A reader who goes away takes the upstream call with it."""
    upstream = Stream(written("a", "b", "c"))
    closed: list[BaseException | None] = []
    upstream.on_close(closed.append)
    ask, _ = engine(chat=Scripted(upstream))

    stream = await ask(Question("manual", "q"), Call())
    await anext(stream)
    await stream.aclose()

    assert closed == [None]


async def test_cancelled_while_retrieving_leaves_nothing_behind() -> None:
    """No task outlives the question."""
    ask, _ = engine(embed=Scripted(VECTOR, seconds=60))
    asking = asyncio.ensure_future(ask(Question("manual", "q"), Call()))
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_was_found_is_kept_until_the_collection_changes() -> None:
    """The same question again costs no search; a new version of the collection does."""
    shelf = Shelf()
    ask, _ = engine(shelf, Scripted(*[Stream(written("Yes [1].")) for _ in range(3)]))

    _, _, first = await read(await ask(Question("manual", "q"), Call()))
    _, _, again = await read(await ask(Question("manual", "q"), Call()))
    assert again.passages == first.passages
    assert again.receipt["hops"]["retrieve"] == {"reused": "cache"}
    assert shelf.searches == 1

    shelf.version = 2
    await asyncio.sleep(0.25)
    await read(await ask(Question("manual", "q"), Call()))
    assert shelf.searches == 2


async def test_what_was_found_without_the_embedder_is_not_kept() -> None:
    """When it is back, the same question gets its better answer."""
    shelf = Shelf()
    embed = Scripted(Unavailable("down"), VECTOR)
    ask, _ = engine(shelf, Scripted(*[Stream(written("Yes [1].")) for _ in range(2)]), embed)

    _, _, lesser = await read(await ask(Question("manual", "q"), Call()))
    _, _, better = await read(await ask(Question("manual", "q"), Call()))

    assert lesser.receipt["degraded"] == ["lexical_only"]
    assert better.receipt["degraded"] == []
    assert len(better.passages) == 3


@pytest.mark.parametrize(
    "said",
    [
        {"text": "what\udcff?"},
        {"text": "what?", "instructions": "be\ud800"},
        {"text": "what?", "history": (Message("user", "\udfff"),)},
    ],
)
def test_half_a_character_is_refused(said: dict[str, Any]) -> None:
    """A shell that could not read its bytes hands them over so; nothing behind could write them down."""
    with pytest.raises(InvalidRequest, match="is no Unicode; send the text as UTF-8"):
        Question("manual", **said)
