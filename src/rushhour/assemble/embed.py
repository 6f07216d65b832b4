"""The embedding hop: single texts, packed across callers into as few provider calls as the moment allows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from rushhour.assemble.ground import Ground
from rushhour.flow.batch import Batch
from rushhour.flow.call import Call, Hop, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.policies.breaker import Breaker
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.retry import Retry
from rushhour.flow.policies.reuse import LruCache, Reuse
from rushhour.flow.shared_tier import SharedTier
from rushhour.hops.contract import EmbedTexts, Text, Vector
from rushhour.hops.local_embed import LocalEmbed
from rushhour.hops.openai_embed import OpenAIEmbed
from rushhour.settings import EmbedSettings


def _local(settings: EmbedSettings, ground: Ground) -> EmbedTexts:
    embedder = LocalEmbed(settings.model_dir)
    ground.closing.push_async_callback(embedder.aclose)
    return embedder


def _openai(settings: EmbedSettings, ground: Ground) -> EmbedTexts:
    return OpenAIEmbed(
        ground.openai_transport(settings, "RUSHHOUR_EMBED"),
        settings.model,
        settings.dimensions,
        timeout_s=settings.timeout_s,
    )


EMBEDDERS: dict[str, Callable[[EmbedSettings, Ground], EmbedTexts]] = {
    "local": _local,
    "openai": _openai,
}


def embedder_name(settings: EmbedSettings, embedder: EmbedTexts) -> str:
    """Name what a collection's vectors were made with; vectors of two names do not compare."""
    dimensions = f"/{settings.dimensions}" if settings.dimensions else ""
    return f"{settings.provider}/{embedder.model}{dimensions}"


def embed_hop(embedder: EmbedTexts, settings: EmbedSettings, ground: Ground) -> Hop[Text, Vector]:
    """Put the policies round an embedder; batching stands inside, so that cached questions need no place in a batch."""
    breaker = Breaker(rng=ground.chance())
    name = f"embed/{embedder_name(settings, embedder)}"

    def cost(parcel: Any) -> Cost:
        return batch.parcel_cost(parcel)

    pace, room = ground.pace_batches(name, settings, settings.rpm, settings.tpm, cost, settings.concurrency)
    batch: Batch[Text, Vector] = Batch(
        embedder,
        Retry(rng=ground.chance()),
        breaker,
        pace,
        room,
        breaker.watch,
        max_items=min(settings.max_inputs, embedder.max_inputs),
        max_size=embedder.max_tokens,
        size=lambda text: len(text.text) / 4 + 1,
        watch=ground.watch,
        hop="embed",
        spacing_s=settings.spacing_s if settings.provider != "local" else 0.0,
    )
    ground.closing.push_async_callback(batch.aclose)
    near = LruCache(settings.cache) if settings.cache else None
    reuse = Reuse(_equal_texts, near, _shared_vectors(name, settings, ground))
    return named(stack(batch, Deadline(), reuse), "embed")


def _shared_vectors(name: str, settings: EmbedSettings, ground: Ground) -> SharedTier[Vector] | None:
    """Share what questions were embedded as with all replicas."""
    if ground.ledger is None:
        return None

    def key(text: Hashable) -> bytes:
        return f"{name}\0{text!r}".encode()

    tier: SharedTier[Vector] = SharedTier(
        ground.ledger.cache("embed"), key, _encode, _decode, settings.cache_ttl_s, hop="embed", watch=ground.watch
    )
    ground.closing.push_async_callback(tier.aclose)
    return tier


def _encode(vector: Vector) -> bytes:
    return vector.astype("<f4").tobytes()


def _decode(written: bytes) -> Vector | None:
    return np.frombuffer(written, "<f4") if written and len(written) % 4 == 0 else None


def _equal_texts(text: Text, _call: Call) -> tuple[str, str] | None:
    """Questions repeat; the catalog already sees to it that passages do not."""
    return (text.kind, text.text) if text.kind == "query" else None
