"""Forgetting embeddings that nobody has used for a month."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rushhour.catalog.contract import Catalog, Chunk
from rushhour.catalog.kept_vectors import KeptVectors, digest_of
from rushhour.clock import unix_now
from rushhour.rag.chunking.chunk import embedding_text

PAGE = 1000


async def prune(catalog: Catalog, kept: KeptVectors, now: int | None = None) -> int:
    """Forget the kept vectors that no visible chunk has used for 30 days before `now` (Unix time); return how many.

    What is due to be looked at is found in use, or idle; what was idle the last time too, 30 days before, goes. So all
    chunks are read about once a month.
    """
    now = unix_now() if now is None else now
    forgotten = 0
    for embedder in await kept.embedders():
        due = await kept.due(embedder, now)
        used: set[bytes] = set()
        for collection in await catalog.collections() if due else ():
            if collection.embedder == embedder:
                after = ""
                while some := await catalog.page(collection.name, after, PAGE):
                    used |= due & await asyncio.to_thread(_digests, some)
                    after = some[-1].id
        if due:
            forgotten += await kept.settle(embedder, used, due - used, now)
    return forgotten


def _digests(chunks: Sequence[Chunk]) -> set[bytes]:
    return {digest_of(embedding_text(one)) for one in chunks}
