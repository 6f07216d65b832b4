"""Settings become a running system: the only place that knows every concrete class.

A new provider is one adapter file in `hops/` and one line in a registry below. The order of the policies round a hop
is decided here and nowhere else (docs/decisions/0003-order-of-policies.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rushhour.catalog.contract import Catalog
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.errors import SettingsError
from rushhour.flow.batch import Batch
from rushhour.flow.call import Call, Event, Hop, Policy, ignore, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.hedge import Hedge, HedgeSettings
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.policies.reuse import LruCache, Reuse
from rushhour.flow.stream import Stream
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.contract import (
    Chat,
    ChatDelta,
    ChatRequest,
    Delete,
    EmbedTexts,
    Match,
    Message,
    Text,
    Upsert,
    Vector,
    VectorQuery,
    VectorStore,
)
from rushhour.hops.embedded_vectors import EmbeddedVectors
from rushhour.hops.extractive import Extractive
from rushhour.hops.local_embed import LocalEmbed
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.hops.openai_embed import OpenAIEmbed
from rushhour.hops.pinecone import PineconeStore, pinecone_headers
from rushhour.rag.answer import Answerer, AnswerSettings
from rushhour.rag.chunk import Chunking
from rushhour.rag.contract import Ask
from rushhour.rag.ingest import Ingester
from rushhour.rag.receipt import Price
from rushhour.rag.retrieve import Retriever, RetrieveSettings
from rushhour.rag.tokens import counted_by
from rushhour.settings import OPENAI, ChatSettings, EmbedSettings, Settings, VectorSettings

CHAT_IS_LATE = 0.98
"""Past this quantile of the times to the first token a chat call may be hedged: later than for cheap hops, since each
hedge pays for a prompt."""

Watch = Callable[[Event], None]
Check = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class VectorHops:
    """The vector store with its policies: queries for people, writes for ingestion."""

    query: Hop[VectorQuery, list[Match]]
    upsert: Hop[Upsert, int]
    delete: Hop[Delete, None]


@dataclass(frozen=True, slots=True)
class System:
    """All of rushhour but its doors. `checks` reach each dependency once and say what they found."""

    settings: Settings
    catalog: Catalog
    embed: Hop[Text, Vector]
    embedder: str
    vectors: VectorHops
    chat: Hop[ChatRequest, Stream[ChatDelta]]
    retrieve: Retriever
    ask: Ask
    ingester: Ingester
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
        embedder = EMBEDDERS[settings.embed.provider](settings.embed, closing)
        store = await STORES[settings.vectors.provider](settings, closing)
        chat = CHATS[settings.chat.provider](settings.chat, closing)
        embed = _embed_hop(embedder, settings.embed, watch, closing)
        vectors = _vector_hops(store, settings.vectors, watch, closing)
        answer_hop = _chat_hop(chat, settings.chat)
        found = LruCache(settings.retrieval.cache) if settings.retrieval.cache else None
        retrieve = Retriever(catalog, embed, vectors.query, _retrieve_settings(settings), found)
        name = embedder_name(settings.embed, embedder)
        yield System(
            settings=settings,
            catalog=catalog,
            embed=embed,
            embedder=name,
            vectors=vectors,
            chat=answer_hop,
            retrieve=retrieve,
            ask=Answerer(
                retrieve,
                answer_hop,
                chat.model,
                _prices(settings, embedder, chat),
                AnswerSettings(max_tokens=settings.chat.max_tokens),
            ),
            ingester=Ingester(
                catalog,
                vectors.upsert,
                vectors.delete,
                embed,
                _chunking(settings, embedder),
                name,
                _prices(settings, embedder, chat),
            ),
            checks=_checks(settings, catalog, embedder, store, chat),
        )


def embedder_name(settings: EmbedSettings, embedder: EmbedTexts) -> str:
    """Name what a collection's vectors were made with; vectors of two names do not compare."""
    dimensions = f"/{settings.dimensions}" if settings.dimensions else ""
    return f"{settings.provider}/{embedder.model}{dimensions}"


# Embedder


def _local_embedder(settings: EmbedSettings, closing: AsyncExitStack) -> EmbedTexts:
    embedder = LocalEmbed(settings.model_dir)
    closing.push_async_callback(embedder.aclose)
    return embedder


def _openai_embedder(settings: EmbedSettings, closing: AsyncExitStack) -> EmbedTexts:
    return OpenAIEmbed(
        _openai_transport(settings, "RUSHHOUR_EMBED", closing),
        settings.model,
        settings.dimensions,
        timeout_s=settings.timeout_s,
    )


EMBEDDERS: dict[str, Callable[[EmbedSettings, AsyncExitStack], EmbedTexts]] = {
    "local": _local_embedder,
    "openai": _openai_embedder,
}


def _embed_hop(
    embedder: EmbedTexts, settings: EmbedSettings, watch: Watch, closing: AsyncExitStack
) -> Hop[Text, Vector]:
    """Single texts, packed across callers into as few provider calls as the moment allows."""
    breaker = Breaker()

    def cost(parcel: Any) -> Cost:
        return batch.parcel_cost(parcel)

    batch: Batch[Text, Vector] = Batch(
        embedder,
        Retry(),
        breaker,
        Pace(_quota(settings, settings.rpm, settings.tpm), cost),
        Concurrency(settings.concurrency),
        breaker.watch,
        max_items=min(settings.max_inputs, embedder.max_inputs),
        max_size=embedder.max_tokens,
        size=lambda text: len(text.text) / 4 + 1,
        watch=watch,
        hop="embed",
        spacing_s=settings.spacing_s if settings.provider != "local" else 0.0,
    )
    closing.push_async_callback(batch.aclose)
    reuse = Reuse(_equal_texts, LruCache(settings.cache) if settings.cache else None)
    return named(stack(batch, Deadline(), reuse), "embed")


def _equal_texts(text: Text, _call: Call) -> tuple[str, str] | None:
    """Questions repeat; the catalog already sees to it that passages do not."""
    return (text.kind, text.text) if text.kind == "query" else None


# Generator


def _extractive(_settings: ChatSettings, _closing: AsyncExitStack) -> Chat:
    return Extractive()


def _openai_chat(settings: ChatSettings, closing: AsyncExitStack) -> Chat:
    return OpenAIChat(
        _openai_transport(settings, "RUSHHOUR_CHAT", closing),
        settings.model,
        settings.timeout_s,
        max_tokens_key=settings.max_tokens_field,
    )


CHATS: dict[str, Callable[[ChatSettings, AsyncExitStack], Chat]] = {
    "extractive": _extractive,
    "openai": _openai_chat,
}


def _chat_hop(chat: Chat, settings: ChatSettings) -> Hop[ChatRequest, Stream[ChatDelta]]:
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2))
    pace = Pace(_quota(settings, settings.rpm, settings.tpm), _chat_cost)
    hedge: tuple[Policy, ...] = ()
    if settings.hedge:
        hedge = (Hedge(pace.take_spare, HedgeSettings(quantile=CHAT_IS_LATE, share=settings.hedge)),)
    others: tuple[tuple[str, Hop[Any, Any]], ...] = ()
    if settings.provider != "extractive":
        others = (("extractive", Extractive()),)
    policies: tuple[Policy, ...] = (
        Deadline(),
        Fallback(*others),
        Retry(RetrySettings(circuit_patience_s=5.0)),
        breaker,
        pace,
        Concurrency(settings.concurrency),
        *hedge,
        breaker.watch,
    )
    return named(stack(chat, *policies), "chat")


def _chat_cost(request: ChatRequest) -> Cost:
    """Charge as OpenAI does: the larger of `max_tokens` and a quarter of the characters."""
    characters = sum(len(message.content) for message in request.messages)
    return Cost(1.0, max(float(request.max_tokens), characters / 4))


# Vector store


async def _embedded_store(settings: Settings, closing: AsyncExitStack) -> VectorStore:
    store = await EmbeddedVectors.open(settings.data_dir / "vectors.sqlite3")
    closing.push_async_callback(store.aclose)
    return store


async def _pinecone_store(settings: Settings, closing: AsyncExitStack) -> VectorStore:
    key = settings.vectors.api_key
    transport = AiohttpTransport(
        str(settings.vectors.base_url),
        pinecone_headers(key.get_secret_value() if key else ""),
        settings="RUSHHOUR_VECTORS",
    )
    store = PineconeStore(transport, settings.vectors.timeout_s)
    closing.push_async_callback(store.aclose)
    return store


STORES: dict[str, Callable[[Settings, AsyncExitStack], Awaitable[VectorStore]]] = {
    "embedded": _embedded_store,
    "pinecone": _pinecone_store,
}


def _vector_hops(store: VectorStore, settings: VectorSettings, watch: Watch, closing: AsyncExitStack) -> VectorHops:
    """Pace queries, upserts and deletes apart, as the providers limit them."""

    async def ship(upserts: Sequence[Upsert], call: Call) -> Sequence[int]:
        return await _merged(store, upserts, call)

    batch: Batch[Upsert, int] = Batch(
        ship,
        *_vector_policies(settings, concurrency=4),
        max_items=1000,
        max_size=1_900_000,
        size=_upsert_bytes,
        watch=watch,
        hop="upsert",
    )
    closing.push_async_callback(batch.aclose)

    async def upsert(request: Upsert, call: Call) -> int:
        single = [Upsert(request.namespace, [record]) for record in request.records]
        return sum(await asyncio.gather(*(batch(one, call) for one in single)))

    return VectorHops(
        query=named(stack(store.query, Deadline(), *_vector_policies(settings, settings.concurrency)), "retrieve"),
        upsert=named(stack(upsert, Deadline()), "upsert"),
        delete=named(stack(store.delete, Deadline(), *_vector_policies(settings, concurrency=4)), "delete"),
    )


def _vector_policies(settings: VectorSettings, concurrency: int) -> tuple[Policy, ...]:
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2))
    rpm = settings.qps * 60 if settings.qps else None
    pace = Pace(_quota(settings, rpm, None))
    return Retry(RetrySettings(circuit_patience_s=5.0)), breaker, pace, Concurrency(concurrency), breaker.watch


def _upsert_bytes(upsert: Upsert) -> float:
    """Estimate one record's JSON: up to 13 characters a number, and its id and metadata."""
    return sum(13 * len(record.vector) + 2 * len(str(record.metadata)) + 100 for record in upsert.records)


async def _merged(store: VectorStore, upserts: Sequence[Upsert], call: Call) -> list[int]:
    """Write what travels together in one call a namespace."""
    by_namespace: dict[str, list[Any]] = {}
    for upsert in upserts:
        by_namespace.setdefault(upsert.namespace, []).extend(upsert.records)
    for namespace, records in by_namespace.items():
        await store.upsert(Upsert(namespace, records), call)
    return [len(upsert.records) for upsert in upserts]


# Shared parts


def _openai_transport(settings: EmbedSettings | ChatSettings, prefix: str, closing: AsyncExitStack) -> AiohttpTransport:
    key = settings.api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    transport = AiohttpTransport(str(settings.base_url or OPENAI), headers, settings=prefix)
    closing.push_async_callback(transport.aclose)
    return transport


def _quota(
    settings: EmbedSettings | ChatSettings | VectorSettings, rpm: float | None, tpm: float | None
) -> MemoryQuota:
    return MemoryQuota(Limits(rpm, tpm, settings.burst_s, settings.use))


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
    return RetrieveSettings(wanted.top_k, wanted.candidates, wanted.context_tokens)


def _prices(settings: Settings, embedder: EmbedTexts, chat: Chat) -> dict[str, Price]:
    chosen = settings.chat
    return {
        embedder.model: Price(settings.embed.price_in),
        chat.model: Price(chosen.price_in, chosen.price_cached_in, chosen.price_out),
    }


def _chunking(settings: Settings, embedder: EmbedTexts) -> Chunking:
    """Count tokens as the local model does; for a provider's model an estimate must do."""
    sizes = settings.chunks
    if isinstance(embedder, LocalEmbed):

        def count(text: str) -> int:
            return counted_by(embedder.tokenizer())(text)  # its files are read by the first ingestion, not at the start

        return Chunking(sizes.tokens, sizes.overlap, count, embedder.model)
    return Chunking(sizes.tokens, sizes.overlap)


def _checks(
    settings: Settings, catalog: Catalog, embedder: EmbedTexts, store: VectorStore, chat: Chat
) -> dict[str, Check]:
    """One cheap call to each dependency, without policies: a check reports, it does not wait."""

    async def embed() -> str:
        vector = (await embedder([Text("Is anybody there?", "query")], Call()))[0]
        return f"{settings.embed.provider}, {embedder.model}: vectors of {vector.size} dimensions"

    async def vectors() -> str:
        collections = await catalog.collections()
        stats = [await store.stats(collection.name, Call()) for collection in collections]
        return f"{settings.vectors.provider}: {sum(one.records for one in stats)} vectors in {len(stats)} collections"

    async def generate() -> str:
        request = ChatRequest((Message("user", "Say yes."),), max_tokens=16, question="Say yes.")
        async with await chat(request, Call()) as reply:
            async for _delta in reply:
                pass
        return f"{settings.chat.provider}, {chat.model}: answers"

    async def catalogue() -> str:
        collections = await catalog.collections()
        return f"{settings.data_dir}: {len(collections)} collections, {sum(c.chunks for c in collections)} chunks"

    return {"catalog": catalogue, "embedder": embed, "vector store": vectors, "generator": generate}
