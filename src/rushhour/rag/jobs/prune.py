"""Forgetting embeddings that nobody has used for a month."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rushhour.catalog.contract import Catalog, Chunk
from rushhour.catalog.kept_vectors import KeptVectors, digest_of
from rushhour.rag.chunking.chunk import embedding_text

PAGE = 1000


async def prune(catalog: Catalog, kept: KeptVectors, now: int | None = None) -> int:
    """Forget the kept vectors that no visible chunk uses and none has for 30 days; return how many.

    Of what is older than that, what is in use counts as used today: so all chunks are read about once a month.
    """
    forgotten = 0
    for embedder in await kept.embedders():
        idle = await kept.unused(embedder, now)
        used: set[bytes] = set()
        for collection in await catalog.collections() if idle else ():
            if collection.embedder == embedder:
                after = ""
                while some := await catalog.page(collection.name, after, PAGE):
                    used |= idle & await asyncio.to_thread(_digests, some)
                    after = some[-1].id
        await kept.settle(embedder, idle - used, used)
        forgotten += len(idle - used)
    return forgotten


def _digests(chunks: Sequence[Chunk]) -> set[bytes]:
    return {digest_of(embedding_text(one)) for one in chunks}
