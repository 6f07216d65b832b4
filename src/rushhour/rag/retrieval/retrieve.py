"""From a question to the passages that may answer it: found, fused, filtered, reranked, packed into a budget."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from msgspec import structs

from rushhour.catalog.contract import Chunk, Searchable
from rushhour.errors import DeadlineExceeded, SettingsError, WouldMissDeadline
from rushhour.flow.call import Call, Event, Hop, named, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.reuse import Cache, Reuse
from rushhour.hops.contract import Match, Passage, Text, Vector, VectorQuery
from rushhour.rag.retrieval.filters import Filter, chunk_test
from rushhour.rag.retrieval.fuse import FUSIONS
from rushhour.rag.retrieval.pack import Packer, PackSettings
from rushhour.rag.retrieval.rerank import Reranker
from rushhour.rag.retrieval.search import Search, Searched
from rushhour.rag.tokens import CountTokens, about_four_characters

Edition: TypeAlias = tuple[int, int]
"""When a collection was made and its version since: catalogs that know nothing of each other do not agree on it."""
Ranked: TypeAlias = tuple[Chunk, float]

VERSION_HOLDS_S = 0.25
"""How long a collection's version is taken to hold. What is kept belongs to one version whole, so the worst that can
happen is the old version a quarter of a second longer."""
SPARE = 2
"""How many ranked chunks are read for each passage: some are not visible any more, say the same, or join another."""


@dataclass(frozen=True, slots=True)
class RetrieveSettings:
    """`candidates` hits from each side, `top_k` passages of together at most `context_tokens` tokens.

    `ranking` is a key of `FUSIONS`. The dense side may take the part `dense_share` of the time that is left, for the
    generator needs some too.
    """

    top_k: int = 8
    candidates: int = 50
    context_tokens: int = 4000
    dense_share: float = 0.5
    ranking: str = "fusion"


class _Wanted(msgspec.Struct, frozen=True):
    """One question to one edition of a collection."""

    collection: str
    edition: Edition
    question: str
    top_k: int
    filters: Filter | None

    @property
    def key(self) -> Hashable:
        """What equal questions have in common; filters as they are written, since True == 1 and they differ."""
        return self.collection, self.edition, self.question, self.top_k, repr(self.filters)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found, in what way it is less than it could be, and until when whoever looked had time."""

    passages: tuple[Passage, ...]
    degraded: tuple[Degraded, ...]
    deadline: float

    def for_want_of_time(self) -> bool:
        """Whether someone with more time would have found more."""
        return any(isinstance(event.cause, DeadlineExceeded | WouldMissDeadline) for event in self.degraded)


@dataclass(frozen=True, slots=True)
class _WholeFinds:
    """A cache that keeps no lesser finds, and none that are empty."""

    kept: Cache

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept."""
        return self.kept.get(key)

    def put(self, key: Hashable, value: _Found) -> None:
        """Keep a find that the next who asks could not better."""
        if value.passages and not value.degraded:
            self.kept.put(key, value)


class Retriever:
    """Finds passages in one collection. Without embedder or vector store it goes on with BM25 alone, and says so.

    So it does when they are there but too slow, or their queues too long: better a lexical answer than none. Without
    `rerank` the fused order stands. `count` measures passages against the budget; it runs in a thread unless it is the
    estimate.

    Equal questions at once are one search, and `found` keeps what came of it as long as the collection does not
    change; lesser finds are not kept.
    """

    def __init__(
        self,
        catalog: Searchable,
        embed: Hop[Text, Vector],
        query: Hop[VectorQuery, list[Match]],
        settings: RetrieveSettings | None = None,
        found: Cache | None = None,
        *,
        rerank: Reranker | None = None,
        count: CountTokens = about_four_characters,
    ) -> None:
        self._catalog = catalog
        self._settings = settings or RetrieveSettings()
        self._search = Search(catalog, embed, query, self._settings.candidates, self._settings.dense_share)
        self._rerank = rerank
        self._pack = Packer(catalog, PackSettings(self._settings.context_tokens), count)
        self._editions: dict[str, tuple[float, Edition]] = {}
        reuse = Reuse(lambda wanted, _call: wanted.key, _WholeFinds(found) if found is not None else None)
        self._find: Hop[_Wanted, _Found] = named(stack(self._look, Deadline(), reuse), "retrieve")

    async def __call__(
        self, collection: str, question: str, call: Call, top_k: int | None = None, filters: Filter | None = None
    ) -> list[Passage]:
        """Return numbered passages, best first; an empty list means that nothing matches at all.

        Raises UnknownCollection before anything is spent, DeadlineExceeded when the time is up.
        """
        edition = await self.edition(collection)
        wanted = _Wanted(collection, edition, question, top_k or self._settings.top_k, filters)
        found = await self._find(wanted, call)
        while found.for_want_of_time() and found.deadline < call.deadline:
            found = await self._find(wanted, call)  # whoever began it had less patience than we have
        for event in found.degraded:
            call.emit(event)
        return list(found.passages)

    async def ranked(
        self,
        collection: str,
        question: str,
        call: Call,
        *,
        limit: int,
        ranking: str | None = None,
        rerank: bool | None = None,
        filters: Filter | None = None,
    ) -> list[Ranked]:
        """Return at most `limit` visible chunks with their scores, best first: what passages are made of.

        None for `ranking` and `rerank` means: as it is set up. Nothing is taken from a cache but the question's
        vector. Raises UnknownCollection, and SettingsError for reranking where no reranker is set up.
        """
        if rerank and self._rerank is None:
            raise SettingsError("There is no reranker; choose one: RUSHHOUR_RERANK__PROVIDER=local.")
        ranking = ranking or self._settings.ranking
        if ranking not in FUSIONS:
            raise SettingsError(f"There is no ranking {ranking!r}; choose one of {', '.join(FUSIONS)}.")
        fused = await self._search(collection, question, call, FUSIONS[ranking], filters)
        if self._rerank is None or rerank is False:
            return await self._visible(collection, fused, limit, filters)
        chunks = await self._visible(collection, fused, max(limit, self._rerank.candidates), filters)
        return (await self._rerank(question, chunks, call))[:limit]

    async def edition(self, collection: str) -> Edition:
        """Return what a collection's state is known by, as of a moment ago at most; raises UnknownCollection."""
        now = asyncio.get_running_loop().time()
        until, edition = self._editions.get(collection, (-math.inf, (0, 0)))
        if now >= until:
            known = await self._catalog.collection(collection)
            edition = (known.created, known.version)
            self._editions[collection] = (now + VERSION_HOLDS_S, edition)
        return edition

    async def _look(self, wanted: _Wanted, call: Call) -> _Found:
        """Search once for all who want the same; each of them is told afterwards in what way it is less."""
        note = _Noting(call)
        ranked = await self.ranked(
            wanted.collection, wanted.question, call.telling(note), limit=SPARE * wanted.top_k, filters=wanted.filters
        )
        passages = await self._pack(wanted.collection, ranked, wanted.top_k)
        return _Found(tuple(map(note.scored, passages)), tuple(note.degraded), call.deadline)

    async def _visible(
        self, collection: str, fused: dict[str, float], limit: int, filters: Filter | None
    ) -> list[Ranked]:
        """Read the best chunks; those that are no longer visible, or do not pass the filter, are passed over."""
        names = list(fused)
        passes = chunk_test(filters) if filters else None
        read: list[Ranked] = []
        for begin in range(0, len(names), limit):
            page = names[begin : begin + limit]
            chunks = await self._catalog.chunks(collection, page)
            visible = (chunks[name] for name in page if name in chunks)
            read += [(chunk, fused[chunk.id]) for chunk in visible if passes is None or passes(chunk)]
            if len(read) >= limit:
                break
        return read[:limit]


@dataclass(slots=True)
class _Noting:
    """Passes a call's events on, but holds back those that say in what way it is less, and what each side scored."""

    call: Call
    degraded: list[Degraded] = field(default_factory=list)
    searched: Searched = field(default_factory=lambda: Searched("retrieve", {}, {}))

    def __call__(self, event: Event) -> None:
        if isinstance(event, Degraded):
            self.degraded.append(event)
        elif isinstance(event, Searched):
            self.searched = event
        else:
            self.call.emit(event)

    def scored(self, passage: Passage) -> Passage:
        """Return the passage with its own scores on each side."""
        hit = passage.chunk_id
        return structs.replace(passage, cosine=self.searched.cosines.get(hit), bm25=self.searched.bm25.get(hit))
