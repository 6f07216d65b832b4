"""Reranking over Cohere's API, `POST {base_url}/rerank`, which others have in the same shape."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from rushhour.errors import MalformedReply, TooLarge
from rushhour.flow.call import Call
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.http_errors import provider_error
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.transport import JSON_HEADERS, Peer, Transport

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
        if len(request.texts) > self.max_texts:
            raise TooLarge(f"{len(request.texts)} texts in one reranking call; {self.model} takes {self.max_texts}.")
        body = msgspec.json.encode(
            {
                "model": self.model,
                "query": request.question,
                "documents": request.texts,
                "top_n": len(request.texts),
            }
        )
        reply = await self._transport.send("POST", "/rerank", body, JSON_HEADERS, self._timeout_s)
        emit_limits(reply.headers, call)
        if not reply.ok:
            raise provider_error(self._transport.peer, reply, self.model)
        try:
            ranking = _DECODER.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise MalformedReply(
                f"{self._transport.peer.host} answered a reranking call of {self.model} with something else: {cause}."
            ) from cause
        scores = in_order(
            [(rank.index, rank.relevance_score) for rank in ranking.results],
            len(request.texts),
            self._transport.peer,
        )
        billed = ranking.meta.billed_units.search_units if ranking.meta and ranking.meta.billed_units else None
        call.emit(Used(call.hop, self.model, Usage(searches=1 if billed is None else math.ceil(billed))))
        return scores


def in_order(ranks: list[tuple[int, float]], count: int, peer: Peer) -> list[float]:
    """Return the scores of (index, score) in the order of the texts, within [0, 1]; raises MalformedReply."""
    scores = dict(ranks)
    if len(ranks) != count or set(scores) != set(range(count)):
        raise MalformedReply(
            f"{peer.host} ranked {len(ranks)} of {count} texts, or some of them twice; all are wanted."
        )
    if not all(map(math.isfinite, scores.values())):
        raise MalformedReply(f"{peer.host} answered a reranking call with a score that is no number.")
    return [min(max(scores[place], 0.0), 1.0) for place in range(count)]
