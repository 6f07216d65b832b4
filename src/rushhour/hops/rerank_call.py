"""What the adapters of reranking APIs have in common: one call, and scores in the order of the texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rushhour.errors import MalformedReply, TooLarge
from rushhour.flow.call import Call
from rushhour.hops.contract import Rerank, RerankRequest
from rushhour.hops.http_errors import provider_error
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.transport import JSON_HEADERS, Peer, Transport

R = TypeVar("R")


def check_size(request: RerankRequest, adapter: Rerank) -> None:
    """Raise TooLarge for more texts than one call takes."""
    if len(request.texts) > adapter.max_texts:
        raise TooLarge(f"{len(request.texts)} texts in one reranking call; {adapter.model} takes {adapter.max_texts}.")


async def ask(
    transport: Transport,
    body: Mapping[str, Any],
    decoder: msgspec.json.Decoder[R],
    model: str,
    timeout_s: float,
    call: Call,
) -> R:
    """Send one reranking call and read the reply; raises the provider's errors, and MalformedReply."""
    reply = await transport.send("POST", "/rerank", msgspec.json.encode(body), JSON_HEADERS, timeout_s)
    emit_limits(reply.headers, call)
    if not reply.ok:
        raise provider_error(transport.peer, reply, model)
    try:
        return decoder.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise MalformedReply(
            f"{transport.peer.host} answered a reranking call of {model} with something else: {cause}."
        ) from cause


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
