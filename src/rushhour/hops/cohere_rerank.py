"""Reranking over Cohere's API, `POST {base_url}/rerank`, which others have in the same shape."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from rushhour.flow.call import Call
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.rerank_call import ask, check_size, in_order
from rushhour.hops.transport import Transport

MAX_TEXTS: Final = 1000


class _Rank(msgspec.Struct):
    index: int
    relevance_score: float


class _Billed(msgspec.Struct):
    search_units: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Ranking(msgspec.Struct):
    results: list[_Rank]
    meta: _Meta | None = None


_DECODER: Final = msgspec.json.Decoder(_Ranking)


class CohereRerank:
    """A reranking model behind a Cohere-shaped endpoint; one call is one provider request, charged in searches.

    Raises the provider's errors as `rushhour.errors`.
    """

    def __init__(
        self, transport: Transport, model: str, timeout_s: float = 10.0, *, max_texts: int = MAX_TEXTS
    ) -> None:
        self._transport = transport
        self.model = model
        self.max_texts = max_texts
        self._timeout_s = timeout_s

    async def __call__(self, request: RerankRequest, call: Call) -> list[float]:
        """Score all texts in one provider call."""
        if not request.texts:
            return []
        check_size(request, self)
        body = {
            "model": self.model,
            "query": request.question,
            "documents": request.texts,
            "top_n": len(request.texts),
        }
        ranking = await ask(self._transport, body, _DECODER, self.model, self._timeout_s, call)
        scores = in_order(
            [(rank.index, rank.relevance_score) for rank in ranking.results], len(request.texts), self._transport.peer
        )
        billed = ranking.meta.billed_units.search_units if ranking.meta and ranking.meta.billed_units else None
        call.emit(Used(call.hop, self.model, Usage(searches=1 if billed is None else math.ceil(billed))))
        return scores
