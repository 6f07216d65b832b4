"""Reranking over the API of a self-hosted Text Embeddings Inference server: `POST {base_url}/rerank`."""

from __future__ import annotations

from typing import Final

import msgspec

from rushhour.flow.call import Call
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.rerank_call import ask, check_size, in_order
from rushhour.hops.transport import Transport

MAX_TEXTS: Final = 32
"""What the server takes in one call unless it is told otherwise (`--max-client-batch-size`)."""


class _Rank(msgspec.Struct):
    index: int
    score: float


_DECODER: Final = msgspec.json.Decoder(list[_Rank])


class TeiRerank:
    """The reranker of a TEI server; `model` only names it, since a server has one. Texts are cut at its limit.

    One call is charged as one search. Raises the provider's errors as `rushhour.errors`.
    """

    def __init__(
        self, transport: Transport, model: str, timeout_s: float = 10.0, *, max_texts: int = MAX_TEXTS
    ) -> None:
        self._transport = transport
        self.model = model
        self.max_texts = max_texts
        self._timeout_s = timeout_s

    async def __call__(self, request: RerankRequest, call: Call) -> list[float]:
        """Score all texts in one call."""
        if not request.texts:
            return []
        check_size(request, self)
        body = {"query": request.question, "texts": request.texts, "truncate": True}
        ranks = await ask(self._transport, body, _DECODER, self.model, self._timeout_s, call)
        scores = in_order([(rank.index, rank.score) for rank in ranks], len(request.texts), self._transport.peer)
        call.emit(Used(call.hop, self.model, Usage(searches=1)))
        return scores
