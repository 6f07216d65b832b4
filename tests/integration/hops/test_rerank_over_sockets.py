"""Reranking against the simulated providers, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rushhour.errors import Rejected, Throttled, Unauthorized
from rushhour.flow.call import Call, Event
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.cohere_rerank import CohereRerank
from rushhour.hops.contract import RerankRequest, Used
from rushhour.hops.tei_rerank import TeiRerank
from rushhour.simulator.profiles import build_profile
from rushhour.simulator.server import Simulator

PROFILE = {
    "keys": ["sk-right"],
    "rerank": {
        "latency": {"median_s": 0.002, "sigma": 0.1, "slow_share": 0.0},
        "rpm": 600,
        "burst_s": 1,
        "max_concurrent": 4,
    },
}
REQUEST = RerankRequest(
    "When was the harbour of Elmstow dredged?",
    ("A recipe for rye bread.", "The harbour of Elmstow was dredged in 1931.", "The weather in May."),
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Start a quick provider that never fails on purpose."""
    async with Simulator(build_profile(PROFILE)) as started:
        yield started


async def test_cohere_ranks_and_bills(simulator: Simulator) -> None:
    """What answers comes first, and a search is charged."""
    transport = AiohttpTransport(f"{simulator.url}/v2", {"authorization": "Bearer sk-right"}, settings="RUSHHOUR_X")
    seen: list[Event] = []
    try:
        scores = await CohereRerank(transport, "rerank-v3.5")(REQUEST, Call(emit=seen.append))
    finally:
        await transport.aclose()

    assert max(range(3), key=scores.__getitem__) == 1
    (used,) = [event for event in seen if isinstance(event, Used)]
    assert used.usage.searches == 1


async def test_a_wrong_key_and_a_wrong_request(simulator: Simulator) -> None:
    """Told apart by type."""
    transport = AiohttpTransport(f"{simulator.url}/v2", {"authorization": "Bearer sk-wrong"}, settings="RUSHHOUR_X")
    right = AiohttpTransport(f"{simulator.url}/v2", {"authorization": "Bearer sk-right"}, settings="RUSHHOUR_X")
    try:
        with pytest.raises(Unauthorized, match="RUSHHOUR_X__API_KEY"):
            await CohereRerank(transport, "rerank-v3.5")(REQUEST, Call())
        with pytest.raises(Rejected, match="query must not be empty"):
            await CohereRerank(right, "rerank-v3.5")(RerankRequest(" ", ("a",)), Call())
    finally:
        await transport.aclose()
        await right.aclose()


async def test_throttling_is_told_apart(simulator: Simulator) -> None:
    """600 a minute enforced a second are ten at once."""
    transport = AiohttpTransport(f"{simulator.url}/v2", {"authorization": "Bearer sk-right"}, settings="RUSHHOUR_X")
    rerank = CohereRerank(transport, "rerank-v3.5")
    try:
        outcomes = await asyncio.gather(*(rerank(REQUEST, Call()) for _ in range(40)), return_exceptions=True)
    finally:
        await transport.aclose()

    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert 0 < len(refused) < 40
    assert all(isinstance(error, Throttled) for error in refused)


async def test_tei_ranks_and_is_overloaded(simulator: Simulator) -> None:
    """Too many at once are throttled; the others get their scores."""
    transport = AiohttpTransport(simulator.url, {}, settings="RUSHHOUR_X")
    rerank = TeiRerank(transport, "tei")
    try:
        scores = await rerank(REQUEST, Call())
        outcomes = await asyncio.gather(*(rerank(REQUEST, Call()) for _ in range(20)), return_exceptions=True)
    finally:
        await transport.aclose()

    assert max(range(3), key=scores.__getitem__) == 1
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert 0 < len(refused) < 20
    assert all(isinstance(error, Throttled) for error in refused)
