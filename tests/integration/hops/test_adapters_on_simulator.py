"""The adapters against the simulated providers, which were written from the same facts by other hands."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import numpy as np
import pytest

from rushhour.errors import ConnectionLost, Rejected, Throttled, TooLarge, Unauthorized, Unavailable, UpstreamError
from rushhour.flow.call import Call, Event
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.contract import (
    ChatRequest,
    Delete,
    Message,
    NamespaceStats,
    Record,
    Text,
    Upsert,
    Used,
    VectorQuery,
)
from rushhour.hops.limit_headers import LimitsSeen
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.hops.openai_embed import OpenAIEmbed
from rushhour.hops.pinecone import PineconeStore, pinecone_headers
from rushhour.simulator.profiles import build_profile
from rushhour.simulator.server import Simulator

QUICK = {"median_s": 0.002, "sigma": 0.1, "slow_share": 0.0}
PROFILE = {
    "keys": ["sk-right"],
    "embeddings": {"latency": QUICK, "rpm": 600, "burst_s": 1},
    "chat": {"latency": QUICK, "tpm": 100_000, "tokens_per_s": [5000, 9000], "context_tokens": 8000},
    "vectors": {"latency": QUICK, "freshness_s": 0, "stats_lag_s": 0},
}
CONTEXT = "The harbour of Elmstow was dredged in 1931, and since then ships of nine metres draught can enter it."


@pytest.fixture
async def provider() -> AsyncIterator[Simulator]:
    """Start quick providers that never fail on purpose."""
    async with Simulator(build_profile(PROFILE)) as simulator:
        yield simulator


@pytest.fixture
async def transport(provider: Simulator) -> AsyncIterator[AiohttpTransport]:
    """Open a transport to the simulated OpenAI API."""
    opened = AiohttpTransport(f"{provider.url}/v1", {"authorization": "Bearer sk-right"}, settings="RUSHHOUR_X")
    yield opened
    await opened.aclose()


async def test_embeds(transport: AiohttpTransport) -> None:
    """Unit vectors in order, alike texts alike; usage and limits are told."""
    seen: list[Event] = []
    texts = [Text("the harbour of Elmstow"), Text("a recipe for rye bread"), Text("Elmstow and its harbour")]
    one, far, near = await OpenAIEmbed(transport, "m")(texts, Call(emit=seen.append))
    assert one @ near > one @ far
    assert float(np.linalg.norm(one)) == pytest.approx(1, abs=1e-6)
    limits, used = seen
    assert isinstance(limits, LimitsSeen)
    assert limits.limits.requests is not None
    assert limits.limits.requests.limit == 600
    assert isinstance(used, Used)
    assert used.usage.input_tokens > 0


async def test_throttled_embeddings_say_when(transport: AiohttpTransport) -> None:
    """600 a minute enforced a second are ten at once: the others are told to wait less than a few seconds."""
    embed = OpenAIEmbed(transport, "m")
    outcomes = await asyncio.gather(*(embed([Text("x")], Call()) for _ in range(40)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert 0 < len(refused) < 40
    for error in refused:
        assert isinstance(error, Throttled)
        assert error.retry_after is not None
        assert 0 < error.retry_after < 5


async def test_chats(provider: Simulator, transport: AiohttpTransport) -> None:
    """The answer streams, and ends with a reason and the usage; ten answers share a connection."""
    messages = (Message("system", f"Answer from:\n[1] {CONTEXT}"), Message("user", "When was the harbour dredged?"))
    for _ in range(10):
        seen: list[Event] = []
        async with await OpenAIChat(transport, "m")(ChatRequest(messages, 100), Call(emit=seen.append)) as stream:
            deltas = [delta async for delta in stream]
        assert "1931" in "".join(delta.text for delta in deltas)
        assert deltas[-1].finish_reason == "stop"
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.output_tokens > 0
        assert seen[-1] == Used("", "m", deltas[-1].usage)
    assert provider.state()["connections"]["opened"] == 1


@pytest.mark.parametrize(
    ("content", "max_tokens", "error"), [("word " * 9000, 10, TooLarge), ("hi", 200_000, UpstreamError)]
)
async def test_what_does_not_fit_is_told_apart(
    transport: AiohttpTransport, content: str, max_tokens: int, error: type[Exception]
) -> None:
    """Too much context, or more than a minute's tokens: never retried."""
    with pytest.raises(error) as caught:
        await OpenAIChat(transport, "m")(ChatRequest((Message("user", content),), max_tokens), Call())
    assert isinstance(caught.value, TooLarge | Rejected)


async def test_a_wrong_key_is_explained(provider: Simulator) -> None:
    """For both APIs."""
    wrong = AiohttpTransport(f"{provider.url}/v1", {"authorization": "Bearer sk-wrong"}, settings="RUSHHOUR_X")
    store = PineconeStore(AiohttpTransport(provider.url, pinecone_headers("sk-wrong"), settings="RUSHHOUR_X"))
    with pytest.raises(Unauthorized, match="RUSHHOUR_X__API_KEY"):
        await OpenAIEmbed(wrong, "m")([Text("x")], Call())
    with pytest.raises(Unauthorized, match="RUSHHOUR_X__API_KEY"):
        await store.stats("ns", Call())
    await wrong.aclose()
    await store.aclose()


async def test_stores_and_finds_vectors(provider: Simulator) -> None:
    """Upserts in bulk, nearest first, deletes, counts."""
    store = PineconeStore(AiohttpTransport(provider.url, pinecone_headers("sk-right"), settings="RUSHHOUR_X"))
    angles = [math.tau * step / 2500 for step in range(2500)]
    records = [
        Record(str(n), np.array([math.cos(a), math.sin(a), *[0.0] * 6], dtype=np.float32), {"file": "f"})
        for n, a in enumerate(angles)
    ]
    assert await store.upsert(Upsert("ns", records), Call()) == 2500
    assert await store.stats("ns", Call()) == NamespaceStats("ns", 2500)
    found = await store.query(VectorQuery("ns", records[700].vector, 3), Call())
    assert found[0].id == "700"
    assert found[0].score == pytest.approx(1, abs=1e-5)
    assert {match.id for match in found} == {"699", "700", "701"}
    await store.delete(Delete("ns", ["700", "unknown"]), Call())
    assert "700" not in {match.id for match in await store.query(VectorQuery("ns", records[700].vector, 3), Call())}
    await store.delete(Delete("ns", None), Call())
    assert await store.query(VectorQuery("ns", records[700].vector, 3), Call()) == []
    with pytest.raises(Rejected, match="made for another embedding model"):
        await store.upsert(Upsert("ns", [Record("x", np.full(16, 0.25, dtype=np.float32), {})]), Call())
    await store.aclose()


@pytest.mark.parametrize(("fault", "error"), [("reset", ConnectionLost), ("bad_gateway", Unavailable)])
async def test_faults_become_our_errors(fault: str, error: type[Exception]) -> None:
    """Every call fails on purpose, and each failure is one of the tree's."""
    surface = {"latency": QUICK, "faults": {fault: 1.0}}
    profile = build_profile({"embeddings": surface, "chat": surface, "vectors": surface})
    async with Simulator(profile) as simulator:
        transport = AiohttpTransport(f"{simulator.url}/v1")
        store = PineconeStore(AiohttpTransport(simulator.url))
        for call in (
            OpenAIEmbed(transport, "m")([Text("x")], Call()),
            OpenAIChat(transport, "m")(ChatRequest((Message("user", "hi"),), 9), Call()),
            store.query(VectorQuery("ns", np.ones(8, dtype=np.float32), 1), Call()),
        ):
            with pytest.raises(error):
                await call
        await transport.aclose()
        await store.aclose()
