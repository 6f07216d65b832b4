"""What the doors (server, shell, library) ask of the RAG engine, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Message, Passage, Usage
from rushhour.rag.retrieval.filters import Filter


class Question(msgspec.Struct, frozen=True):
    """A question to one collection, with the conversation before it.

    None means: as the settings say. A `fresh` answer is made for this question alone: it is neither taken from a cache
    nor kept, nor shared with whoever asks the same. Only what passes the `filters` is searched.

    Raises InvalidRequest for text that is no Unicode: half a character, or bytes that a shell could not read.
    """

    collection: str
    text: str
    history: tuple[Message, ...] = ()
    instructions: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    fresh: bool = False
    filters: Filter | None = None

    def __post_init__(self) -> None:
        for text in (self.text, self.instructions, *(turn.content for turn in self.history)):
            try:
                text.encode()
            except UnicodeEncodeError as cause:
                bad = f"{text[cause.start]!r}, character {cause.start + 1} of the {len(text)} sent, is no Unicode"
                raise InvalidRequest(f"{bad}; send the text as UTF-8.", param="messages") from None


class Place(msgspec.Struct, frozen=True):
    """Characters of a text, from `start` up to `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """In characters."""
        return self.end - self.start


class Citation(msgspec.Struct, frozen=True):
    """One checked `[n]` of an answer: `start` and `end` are its character offsets in the text.

    `support` is where in the passage's text the sentence stands that supports what is said before the `[n]`; None is
    the whole passage.
    """

    number: int
    start: int
    end: int
    passage: Passage
    support: Place | None = None

    @property
    def quote(self) -> str:
        """What the document says there."""
        return self.passage.text[self.support.start : self.support.end] if self.support else self.passage.text

    @property
    def place(self) -> Place:
        """Where in the document that stands."""
        support = self.support or Place(0, len(self.passage.text))
        return Place(self.passage.start + support.start, self.passage.start + support.end)


class Sources(msgspec.Struct, frozen=True):
    """The passages the answer may cite; the first piece of every answer."""

    passages: tuple[Passage, ...]


class Delta(msgspec.Struct, frozen=True):
    """More text of the answer."""

    text: str


class Grounding(msgspec.Struct, frozen=True):
    """How an answer stands on its passages, as far as that is known without somebody's judgement.

    `confidence` is how likely the passages are to hold the answer, None where nobody judged. `not_found` says that
    nothing in the documents supports the answer: nothing was found, or the generator knew that it was weak, and cited
    none of it. `invalid` citations named no passage and were taken out.
    """

    confidence: float | None = None
    not_found: bool = False
    invalid: int = 0


class Answer(msgspec.Struct, frozen=True):
    """The whole answer; the last piece of every stream that did not fail.

    `model` is the one that answered. `usage` is what was charged for it: nothing where it was reused. `receipt` is a
    JSON-ready account of what it took: tokens, cost, waits, retries, cache hits, `reused`, `degraded`.
    """

    text: str
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    finish_reason: str
    model: str
    usage: Usage
    receipt: Mapping[str, Any] = msgspec.field(default_factory=dict)
    grounding: Grounding = Grounding()


Piece: TypeAlias = Sources | Delta | Answer


class Ask(Protocol):
    """The engine: a hop from a question to a stream of pieces (Sources, then Deltas, then one Answer)."""

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        """Retrieve, start to generate, and hand over the stream; every refusal and failure raises here."""
        ...
