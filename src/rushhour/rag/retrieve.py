"""From a question to the passages that may answer it: lexical and dense hits, fused, fitted to a budget."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from rushhour.catalog.contract import Catalog, Chunk
from rushhour.errors import DeadlineExceeded, Refusal, RushhourError
from rushhour.flow.call import Call, Hop
from rushhour.flow.policies.fallback import Degraded, is_down
from rushhour.flow.policies.reuse import Cache, Reused
from rushhour.hops.contract import Match, Passage, Text, Vector, VectorQuery
from rushhour.rag.fuse import score_fusion

CHARACTERS_PER_TOKEN = 4
"""An estimate for English; only the budget of the prompt depends on it."""

Edition: TypeAlias = tuple[int, int]
"""When a collection was made and its version since: catalogs that know nothing of each other do not agree on it."""

VERSION_HOLDS_S = 0.25
"""How long a collection's version is taken to hold. What is kept belongs to one version whole, so the worst that can
happen is the old version a quarter of a second longer."""


@dataclass(frozen=True, slots=True)
class RetrieveSettings:
    """`candidates` hits from each side, `top_k` passages of together at most `context_tokens` tokens.

    The dense side may take the part `dense_share` of the time that is left, for the generator needs some too.
    """

    top_k: int = 8
    candidates: int = 50
    context_tokens: int = 4000
    dense_share: float = 0.5


class Retriever:
    """Finds passages in one collection. Without embedder or vector store it goes on with BM25 alone, and says so.

    So it does when they are there but too slow, or their queues too long: better a lexical answer than none.

    `found` keeps what was found for a question as long as the collection does not change; lesser finds are not kept.
    """

    def __init__(
        self,
        catalog: Catalog,
        embed: Hop[Text, Vector],
        query: Hop[VectorQuery, list[Match]],
        settings: RetrieveSettings | None = None,
        found: Cache | None = None,
    ) -> None:
        self._catalog = catalog
        self._embed = embed
        self._query = query
        self._settings = settings or RetrieveSettings()
        self._found = found
        self._editions: dict[str, tuple[float, Edition]] = {}

    async def __call__(self, collection: str, question: str, call: Call, top_k: int | None = None) -> list[Passage]:
        """Return numbered passages, best first; an empty list means that nothing matches at all.

        Raises UnknownCollection before anything is spent.
        """
        wanted = top_k or self._settings.top_k
        key = (collection, await self.edition(collection), question, wanted)
        if self._found is not None and (kept := self._found.get(key)) is not None:
            call.emit(Reused("retrieve", "cache"))
            return list(kept)
        lexical = await self._lexical(collection, question)
        dense = await self._dense(collection, question, call)
        if dense is None:
            return await self._passages(collection, score_fusion({}, lexical), wanted)
        passages = await self._passages(collection, score_fusion(dense, lexical), wanted)
        if self._found is not None and passages:
            self._found.put(key, tuple(passages))
        return passages

    async def edition(self, collection: str) -> Edition:
        """Return what a collection's state is known by, as of a moment ago at most; raises UnknownCollection."""
        now = asyncio.get_running_loop().time()
        until, edition = self._editions.get(collection, (-math.inf, (0, 0)))
        if now >= until:
            known = await self._catalog.collection(collection)
            edition = (known.created, known.version)
            self._editions[collection] = (now + VERSION_HOLDS_S, edition)
        return edition

    async def _lexical(self, collection: str, question: str) -> dict[str, float]:
        hits = await self._catalog.lexical(collection, question, self._settings.candidates)
        return {hit.id: hit.score for hit in hits}

    async def _dense(self, collection: str, question: str, call: Call) -> dict[str, float] | None:
        """Return cosines by id, or None where the answer has to do without."""
        bounded = self._bounded(call)
        try:
            vector = await self._embed(Text(question, "query"), bounded)
            hits = await self._query(VectorQuery(collection, vector, self._settings.candidates), bounded)
        except RushhourError as cause:
            if not is_down(cause) and not isinstance(cause, Refusal | DeadlineExceeded):
                raise
            if call.deadline <= asyncio.get_running_loop().time():
                raise
            call.emit(Degraded("retrieve", "lexical_only", cause))
            return None
        return {hit.id: hit.score for hit in hits}

    def _bounded(self, call: Call) -> Call:
        if math.isinf(call.deadline):
            return call
        now = asyncio.get_running_loop().time()
        return replace(call, deadline=now + self._settings.dense_share * (call.deadline - now))

    async def _passages(self, collection: str, fused: Mapping[str, float], top_k: int) -> list[Passage]:
        """Read the best chunks and keep what fits; ids that are no longer visible are passed over."""
        ranked = list(fused)
        chosen: dict[str, Chunk] = {}
        for begin in range(0, len(ranked), 2 * top_k):
            if len(chosen) >= top_k:
                break
            page = ranked[begin : begin + 2 * top_k]
            chunks = await self._catalog.chunks(collection, page)
            for chunk in (chunks[name] for name in page if name in chunks):
                chosen[chunk.text] = _nearer(chosen.get(chunk.text), chunk)
        best = {text: fused[chunk.id] for text, chunk in chosen.items()}
        return self._fitting([_passage(n + 1, c, best[c.text]) for n, c in enumerate(chosen.values())][:top_k])

    def _fitting(self, passages: list[Passage]) -> list[Passage]:
        """Keep the first passages that together fit the budget, and at least one."""
        budget = self._settings.context_tokens * CHARACTERS_PER_TOKEN
        for count, passage in enumerate(passages):
            budget -= len(passage.text)
            if budget < 0:
                return passages[: max(count, 1)]
        return passages


def _nearer(known: Chunk | None, found: Chunk) -> Chunk:
    """Of two chunks with the same text, keep the one whose document is more about it: nearer to its title."""
    if known is None or len(found.heading) < len(known.heading):
        return found
    return known


def _passage(number: int, chunk: Chunk, score: float) -> Passage:
    return Passage(
        number=number,
        chunk_id=chunk.id,
        text=chunk.text,
        title=chunk.title,
        source=chunk.source,
        heading=chunk.heading,
        page=chunk.page,
        score=score,
    )
