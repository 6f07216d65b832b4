"""Settings become a running system: the only place that knows every concrete class.

A new provider is one adapter file in `hops/` and one line in a registry below. The order of the policies round a hop
is decided here and nowhere else (docs/decisions/0003-order-of-policies.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

from rushhour.assemble.chat import CHATS, generator
from rushhour.assemble.checks import Check, checks_of
from rushhour.assemble.embed import EMBEDDERS, embed_hop, embedder_name
from rushhour.assemble.engine import engine, pressure_at
from rushhour.assemble.ground import Ground, Watch
from rushhour.assemble.rerank import RERANKERS, reranker
from rushhour.assemble.vectors import STORES, VectorHops, vector_hops
from rushhour.catalog.contract import Catalog
from rushhour.catalog.kept_vectors import KeptVectors
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.errors import SettingsError
from rushhour.flow.call import Hop, ignore
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.flow.policies.reuse import LruCache
from rushhour.hops.contract import Chat, EmbedTexts, Rerank, Text, Vector, VectorStore
from rushhour.hops.local_embed import LocalEmbed
from rushhour.rag.chunking.chunk import Chunking
from rushhour.rag.contract import Ask
from rushhour.rag.ingestion.backend import Backend
from rushhour.rag.ingestion.ingest import Ingester
from rushhour.rag.ingestion.paid_embed import PaidEmbed
from rushhour.rag.jobs.jobs import Jobs
from rushhour.rag.jobs.leases import Leases
from rushhour.rag.receipt import Price
from rushhour.rag.retrieval.retrieve import Retriever, RetrieveSettings
from rushhour.rag.tokens import counted_by
from rushhour.settings import Settings

FEWEST_IN_FLIGHT, MOST_IN_FLIGHT = 16, 2048
"""Texts that an ingestion has embedded at any moment."""


@dataclass(frozen=True, slots=True)
class System:
    """All of rushhour but its doors. `checks` reach each dependency once and say what they found."""

    settings: Settings
    catalog: Catalog
    embed: Hop[Text, Vector]
    embedder: str
    vectors: VectorHops
    retrieve: Retriever
    ask: Ask
    ingester: Ingester
    jobs: Jobs
    checks: Mapping[str, Check]


@asynccontextmanager
async def assemble(settings: Settings, watch: Watch = ignore) -> AsyncIterator[System]:
    """Build the system and close all of it on the way out; `watch` is told the events that no single call owns.

    Raises SettingsError where a provider's settings or files cannot be used.
    """
    async with AsyncExitStack() as closing:
        data = await asyncio.to_thread(_data_dir, settings)
        catalog = await SqliteCatalog.open(data / "catalog.sqlite3")
        closing.push_async_callback(catalog.aclose)
        kept = await KeptVectors.open(data / "embeddings.sqlite3")
        closing.push_async_callback(kept.aclose)
        ground = Ground(settings, closing, watch, await _ledger(settings, watch, closing))
        embedder = EMBEDDERS[settings.embed.provider](settings.embed, ground)
        store = await STORES[settings.vectors.provider](ground)
        chat = CHATS[settings.chat.provider](settings.chat, ground)
        rerank = RERANKERS[settings.rerank.provider](settings.rerank, ground)
        yield compose(ground, catalog, embedder, store, chat, rerank, kept)


def compose(
    ground: Ground,
    catalog: Catalog,
    embedder: EmbedTexts,
    store: VectorStore,
    chat: Chat,
    rerank: Rerank | None = None,
    kept: KeptVectors | None = None,
) -> System:
    """Put the policies round adapters that were made elsewhere; what that opens is closed with the ground."""
    settings = ground.settings
    embed = embed_hop(embedder, settings.embed, ground)
    vectors = vector_hops(store, settings.vectors, ground)
    answers = generator(chat, settings.chat, ground)
    pressure = pressure_at(answers, settings)
    found = LruCache(settings.retrieval.cache) if settings.retrieval.cache else None
    chunking = _chunking(settings, embedder)
    retrieve = Retriever(
        catalog,
        embed,
        vectors.query,
        _retrieve_settings(settings),
        found,
        rerank=reranker(rerank, settings.rerank, ground, pressure.takes),
        count=chunking.count,
    )
    name = embedder_name(settings.embed, embedder)
    prices = {embedder.model: Price(settings.embed.price_in)}
    ingester = Ingester(
        Backend(
            catalog,
            vectors.upsert,
            vectors.delete,
            vectors.query,
            PaidEmbed(embed, name, kept),
            chunking,
            Leases(settings.data_dir / "locks"),
            dict(prices),
        ),
        chunks_in_flight=_in_flight(settings, embedder),
    )
    if rerank is not None:
        prices[rerank.model] = Price(search=settings.rerank.price_search)
    return System(
        settings=settings,
        catalog=catalog,
        embed=embed,
        embedder=name,
        vectors=vectors,
        retrieve=retrieve,
        ask=engine(retrieve, answers, pressure, name, prices, ground),
        ingester=ingester,
        jobs=Jobs(ingester, settings.data_dir / "spool"),
        checks=checks_of(settings, catalog, embedder, store, answers.chats, ground.ledger, rerank),
    )


async def _ledger(settings: Settings, watch: Watch, closing: AsyncExitStack) -> RedisLedger | None:
    """Open what replicas share, if they do."""
    redis = settings.redis
    if redis.url is None:
        return None
    ledger = await RedisLedger.open(
        redis.url.get_secret_value(), prefix=redis.prefix, replica=gethostname(), expected=redis.replicas, watch=watch
    )
    closing.push_async_callback(ledger.aclose)
    return ledger


def _data_dir(settings: Settings) -> Path:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise SettingsError(
            f"The data directory {folder} cannot be made ({cause.strerror}); set RUSHHOUR_DATA_DIR to a folder that "
            "rushhour can write to."
        ) from cause
    return folder


def _retrieve_settings(settings: Settings) -> RetrieveSettings:
    wanted = settings.retrieval
    return RetrieveSettings(wanted.top_k, wanted.candidates, wanted.context_tokens, ranking=wanted.ranking)


def _in_flight(settings: Settings, embedder: EmbedTexts) -> int:
    """How many texts the embedder's calls can carry at once: no more are bought before the first are kept."""
    inputs = min(settings.embed.max_inputs, embedder.max_inputs)
    return min(max(settings.embed.concurrency * inputs, FEWEST_IN_FLIGHT), MOST_IN_FLIGHT)


def _chunking(settings: Settings, embedder: EmbedTexts) -> Chunking:
    """Count tokens as the local model does; for a provider's model an estimate must do."""
    sizes = settings.chunks
    if isinstance(embedder, LocalEmbed):

        def count(text: str) -> int:
            return counted_by(embedder.tokenizer())(text)  # its files are read by the first ingestion, not at the start

        return Chunking(sizes.tokens, sizes.overlap, count, embedder.model)
    return Chunking(sizes.tokens, sizes.overlap)
