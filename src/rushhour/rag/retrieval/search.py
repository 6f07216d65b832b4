"""The two sides of a search, dense and lexical, fused into one ranking of chunk ids."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from rushhour.catalog.contract import Searchable
from rushhour.errors import DeadlineExceeded, Refusal, RushhourError
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.policies.fallback import Degraded, is_down
from rushhour.hops.contract import Match, Text, Vector, VectorQuery
from rushhour.rag.retrieval.filters import Filter, chunk_test, spelled, weakened
from rushhour.rag.retrieval.fuse import FUSIONS, Fusion

RECORDED: Final = frozenset({"file"})
"""What every vector's record tells of its chunk. A record is written anew only when its chunk's text, title or headings
change, so nothing may be added that changes without them, as a page does."""
FILES: Final = 200
"""So many files a vector store is told to look in; a filter that lets more through is applied to what it finds."""
WIDER: Final = 4
"""The next look at the vector store is so much wider when too few of its hits pass the filter."""
WIDEST: Final = 10_000
"""What a vector store returns at most."""


class Searched(Event, frozen=True):
    """What each side scored, by chunk id, before the scores became one; a side that was not asked is empty."""

    cosines: Mapping[str, float]
    bm25: Mapping[str, float]


class Search:
    """Finds `candidates` hits a side; the dense side may take the part `dense_share` of the time that is left."""

    def __init__(
        self,
        catalog: Searchable,
        embed: Hop[Text, Vector],
        query: Hop[VectorQuery, list[Match]],
        candidates: int,
        dense_share: float,
    ) -> None:
        self._catalog = catalog
        self._embed = embed
        self._query = query
        self._candidates = candidates
        self._share = dense_share

    async def __call__(
        self, collection: str, question: str, call: Call, fusion: Fusion, filters: Filter | None
    ) -> dict[str, float]:
        """Return scores by chunk id, best first; raises UnknownCollection.

        Where the dense side is wanted and fails, what BM25 found stands alone, and Degraded is emitted.
        """
        lexical = await self._lexical(collection, question, filters) if fusion.lexical else {}
        dense = await self._dense(collection, question, call, filters) if fusion.dense else {}
        if dense is None:
            lexical = lexical or await self._lexical(collection, question, filters)
            fusion = fusion if fusion.lexical else FUSIONS["lexical"]
        call.emit(Searched("retrieve", dense or {}, lexical))
        return fusion.combine(dense or {}, lexical)

    async def _lexical(self, collection: str, question: str, filters: Filter | None) -> dict[str, float]:
        if filters is None:
            hits = await self._catalog.lexical(collection, question, self._candidates)
        else:
            hits = await self._catalog.lexical(collection, question, self._candidates, spelled(filters))
        return {hit.id: hit.score for hit in hits}

    async def _dense(
        self, collection: str, question: str, call: Call, filters: Filter | None
    ) -> dict[str, float] | None:
        """Return cosines by id, or None where the answer has to do without."""
        bounded = self._bounded(call)
        try:
            if filters is None:
                vector = await self._embed(Text(question, "query"), bounded)
                hits = await self._query(VectorQuery(collection, vector, self._candidates), bounded)
            else:
                hits = await self._filtered(collection, question, bounded, filters)
        except RushhourError as cause:
            if not is_down(cause) and not isinstance(cause, Refusal | DeadlineExceeded):
                raise
            if call.deadline <= asyncio.get_running_loop().time():
                raise
            call.emit(Degraded("retrieve", "lexical_only", cause))
            return None
        return {hit.id: hit.score for hit in hits}

    async def _filtered(self, collection: str, question: str, call: Call, filters: Filter) -> list[Match]:
        """Look wider and wider until enough hits pass the filter, for the store knows only a part of it."""
        where = await self._restriction(collection, filters)
        if where == {}:
            return []
        vector = await self._embed(Text(question, "query"), call)
        test, top_k = chunk_test(filters), self._candidates
        passes: dict[str, bool] = {}
        while True:
            hits = await self._query(VectorQuery(collection, vector, top_k, where), call)
            new = [hit.id for hit in hits if hit.id not in passes]
            chunks = await self._catalog.chunks(collection, new)
            passes |= {name: name in chunks and test(chunks[name]) for name in new}
            passing = [hit for hit in hits if passes[hit.id]]
            if len(passing) >= self._candidates or len(hits) < top_k or top_k >= WIDEST:
                return passing[: self._candidates]
            top_k = min(WIDER * top_k, WIDEST)

    async def _restriction(self, collection: str, filters: Filter) -> Mapping[str, Any] | None:
        """Say to the store as much of the filter as it can know; {} where no chunk passes."""
        files = await self._catalog.files_with(collection, spelled(filters), FILES + 1)
        if not files:
            return {}
        if len(files) <= FILES:
            return {"file": {"$in": files}}
        weaker = weakened(filters, RECORDED)
        return spelled(weaker) if weaker else None

    def _bounded(self, call: Call) -> Call:
        if math.isinf(call.deadline):
            return call
        now = asyncio.get_running_loop().time()
        return structs.replace(call, deadline=now + self._share * (call.deadline - now))
