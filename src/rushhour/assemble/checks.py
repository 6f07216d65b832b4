"""One cheap call to each dependency, without policies: a check reports, it does not wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from rushhour.catalog.contract import Catalog
from rushhour.flow.call import Call
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.hops.contract import Chat, ChatRequest, EmbedTexts, Message, Rerank, RerankRequest, Text, VectorStore
from rushhour.settings import Settings

Check = Callable[[], Awaitable[str]]


def checks_of(
    settings: Settings,
    catalog: Catalog,
    embedder: EmbedTexts,
    store: VectorStore,
    chats: Sequence[Chat],
    ledger: RedisLedger | None,
    rerank: Rerank | None = None,
) -> dict[str, Check]:
    """Return the checks by the name of what they reach; each says what it found, or raises.

    `chats` are the generator and those that stand in for it, each with a check of its own.
    """

    async def embed() -> str:
        vector = (await embedder([Text("Is anybody there?", "query")], Call()))[0]
        return f"{settings.embed.provider}, {embedder.model}: vectors of {vector.size} dimensions"

    async def vectors() -> str:
        collections = await catalog.collections()
        stats = [await store.stats(collection.name, Call()) for collection in collections]
        return f"{settings.vectors.provider}: {sum(one.records for one in stats)} vectors in {len(stats)} collections"

    async def generate(chat: Chat) -> str:
        request = ChatRequest((Message("user", "Say yes."),), max_tokens=16, question="Say yes.")
        async with await chat(request, Call()) as reply:
            async for _delta in reply:
                pass
        return f"{settings.chat.provider}, {chat.model}: answers"

    async def read_again(rerank: Rerank) -> str:
        await rerank(RerankRequest("Is anybody there?", ("Yes.", "No.")), Call())
        return f"{settings.rerank.provider}, {rerank.model}: ranks"

    async def catalogue() -> str:
        collections = await catalog.collections()
        return f"{settings.data_dir}: {len(collections)} collections, {sum(c.chunks for c in collections)} chunks"

    generators: dict[str, Check] = {
        "generator" if nth == 0 else f"fallback {nth}": partial(generate, chat) for nth, chat in enumerate(chats)
    }
    rerankers: dict[str, Check] = {"reranker": partial(read_again, rerank)} if rerank else {}
    shared = {"redis": ledger.check} if ledger else {}
    return {"catalog": catalogue, "embedder": embed, "vector store": vectors, **rerankers, **generators, **shared}
