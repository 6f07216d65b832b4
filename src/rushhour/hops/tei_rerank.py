"""Reranking over the API of a self-hosted Text Embeddings Inference server: `POST {base_url}/rerank`."""

from __future__ import annotations

from typing import Final

import msgspec

from rushhour.errors import MalformedReply, TooLarge
from rushhour.flow.call import Call
from rushhour.hops.cohere_rerank import in_order
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.http_errors import provider_error
from rushhour.hops.transport import JSON_HEADERS, Transport

MAX_TEXTS: Final = 32
"""What the server takes in one call unless it is told otherwise (`--max-client-batch-size`)."""


class _Rank(msgspec.Struct):
    index: int
    score: float


_DECODER: Final = msgspec.json.Decoder(list[_Rank])


class TeiRerank:
    """The reranker of a TEI server; `model` only names it, since a server has one. Texts are cut at its limit."""

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
        if len(request.texts) > self.max_texts:
            raise TooLarge(f"{len(request.texts)} texts in one reranking call; {self.model} takes {self.max_texts}.")
        body = msgspec.json.encode({"query": request.question, "texts": request.texts, "truncate": True})
        peer = self._transport.peer
        reply = await self._transport.send("POST", "/rerank", body, JSON_HEADERS, self._timeout_s)
        if not reply.ok:
            raise provider_error(peer, reply, self.model)
        try:
            ranks = _DECODER.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise MalformedReply(f"{peer.host} answered a reranking call with something else: {cause}.") from cause
        scores = in_order([(rank.index, rank.score) for rank in ranks], len(request.texts), peer)
        call.emit(Used(call.hop, self.model, Usage()))
        return scores
