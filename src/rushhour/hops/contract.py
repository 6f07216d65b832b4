"""What the rooms above say to an adapter, and what it answers: one vocabulary for all providers.

An adapter speaks one foreign API and maps its errors to `rushhour.errors`; it neither retries, waits nor limits:
policies do that. Every adapter's methods are hops (`async (request, call) -> reply`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from rushhour.flow.call import Call, Event
from rushhour.flow.stream import Stream

Vector: TypeAlias = NDArray[np.float32]
"""One embedding: shape (dimensions,), unit length."""

Scalar: TypeAlias = str | int | float | bool


class Usage(msgspec.Struct, frozen=True):
    """What one provider call consumed, as the provider counts it: tokens, or a reranker's searches."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    searches: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.searches + other.searches,
        )


class Used(Event, frozen=True):
    """A provider call was paid for: its model and usage (emitted once a call, by the adapter)."""

    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Text:
    """One text to embed; some models embed a query otherwise than a passage."""

    text: str
    kind: Literal["query", "passage"] = "passage"


class EmbedTexts(Protocol):
    """An embedding adapter: many texts in, as many unit vectors out, in order."""

    model: str
    max_inputs: int
    max_tokens: int

    async def __call__(self, request: Sequence[Text], call: Call) -> list[Vector]:
        """Embed all of them in one provider call."""
        ...


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Texts to be judged by how well each answers a question."""

    question: str
    texts: tuple[str, ...]


class Rerank(Protocol):
    """A reranking adapter: one score a text, in order, in [0, 1]; higher answers the question better."""

    model: str
    max_texts: int

    async def __call__(self, request: RerankRequest, call: Call) -> list[float]:
        """Score all of them in one provider call."""
        ...


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Passage(msgspec.Struct, frozen=True, cache_hash=True):
    """A numbered piece of context: what `[n]` cites.

    `text` is what stands at the characters `start` to `end` of its document, so its character i is the document's
    `start + i`; `chunk_id` is that of the best hit in it, and `file` its document's name in the collection. `cosine`
    and `bm25` are that hit's own scores, None from a side that did not find it; `score` is what was made of them.
    """

    number: int
    chunk_id: str
    text: str
    title: str
    source: str
    heading: str = ""
    page: int | None = None
    score: float = 0.0
    file: str = ""
    start: int = 0
    end: int = 0
    cosine: float | None = None
    bm25: float | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """A prompt for a chat model; `question` and `passages` say the same to generators that are not a model.

    `weak` says that the passages may well not contain the answer.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    question: str = ""
    passages: tuple[Passage, ...] = ()
    weak: bool = False


class ChatDelta(msgspec.Struct, frozen=True):
    """A piece of an answer; the last one carries the finish reason, and the usage where the provider says it."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class Chat(Protocol):
    """A chat adapter: returns once the first token is there; the stream fails if it is cut short."""

    model: str

    async def __call__(self, request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        """Ask, wait for the first token, and hand over the stream."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One vector with its id and flat metadata."""

    id: str
    vector: Vector
    metadata: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Records to write into one namespace; the same id overwrites."""

    namespace: str
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Delete:
    """Ids to delete from one namespace; None deletes all of it."""

    namespace: str
    ids: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """The nearest `top_k` records of a namespace by cosine."""

    namespace: str
    vector: Vector
    top_k: int
    filter: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A hit: higher scores are better."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class NamespaceStats:
    """How many records a namespace holds (a provider may lag)."""

    namespace: str
    records: int


class VectorStore(Protocol):
    """A vector store; every method is a hop. Sizes per call are the adapter's to respect by splitting."""

    async def upsert(self, request: Upsert, call: Call) -> int:
        """Write records, in as few calls as the store allows; return how many were written."""
        ...

    async def query(self, request: VectorQuery, call: Call) -> list[Match]:
        """Return the nearest records, best first."""
        ...

    async def delete(self, request: Delete, call: Call) -> None:
        """Delete ids; unknown ids are no error."""
        ...

    async def stats(self, request: str, call: Call) -> NamespaceStats:
        """Count one namespace."""
        ...

    async def aclose(self) -> None:
        """Release connections and files."""
        ...
