"""Two whole systems, told by their settings alone that they share a Valkey: one memory, one limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import HttpUrl, SecretStr

from rushhour.assemble import System, assemble
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Question
from rushhour.rag.documents.sources import files_from
from rushhour.settings import ChatSettings, EmbedSettings, RedisSettings, Settings
from rushhour.simulator import Simulator
from rushhour.simulator.profile_files import load_profile

QUICK = (
    "chat.faults={}", "embeddings.faults={}", "chat.latency.median_s=0.01", "embeddings.latency.median_s=0.01",
    "chat.latency.slow_share=0", "embeddings.latency.slow_share=0", "chat.rpm=600", "chat.burst_s=1",
)  # fmt: skip


@asynccontextmanager
async def two_systems(provider: Simulator, redis: str, folder: Path) -> AsyncIterator[tuple[System, System]]:
    """Assemble two over the same documents, as two servers on one machine."""
    page = folder / "page.md"
    page.write_text("# Walrus\n\nThe walrus keeps the keys of the north pole in a blue box.\n")
    place: dict[str, Any] = {"base_url": HttpUrl(f"{provider.url}/v1"), "api_key": SecretStr("sk-1")}
    settings = Settings(
        data_dir=folder / "data",
        embed=EmbedSettings(provider="openai", model="text-embedding-3-small", **place),
        chat=ChatSettings(provider="openai", model="gpt-4o-mini", rpm=600, burst_s=1, **place),
        redis=RedisSettings(url=SecretStr(redis), replicas=2),
    )
    async with AsyncExitStack() as closing:
        one, other = [await closing.enter_async_context(assemble(settings)) for _ in range(2)]
        await one.ingester.ingest("docs", list(files_from([page])), Call())
        yield one, other


async def answer(system: System, question: str, *, fresh: bool = False) -> Answer:
    """Ask and read to the end."""
    async with await system.ask(Question("docs", question, fresh=fresh), Call()) as pieces:
        last = [piece async for piece in pieces][-1]
    assert isinstance(last, Answer)
    return last


def surface(provider: Simulator, name: str) -> dict[str, Any]:
    """Return what the provider counted of the one client."""
    told: dict[str, Any] = provider.state()["clients"]["sk-1"]["surfaces"][name]
    return told


async def test_what_one_has_paid_for_the_other_has_too(valkey: Any, tmp_path: Path) -> None:
    """A question embedded, or answered, by one system costs the other nothing."""
    async with (
        Simulator(load_profile("monday", QUICK)) as provider,
        two_systems(provider, valkey.url, tmp_path) as both,
    ):
        first = await answer(both[0], "Where are the keys?")
        before = surface(provider, "embeddings")["calls"], surface(provider, "chat")["calls"]
        again = await answer(both[1], "Where are the keys?")
        anew = await answer(both[1], "Where are the keys?", fresh=True)
        after = surface(provider, "embeddings")["calls"], surface(provider, "chat")["calls"]

    assert (first.receipt["reused"], again.receipt["reused"], anew.receipt["reused"]) == (None, "cache", None)
    assert again.text == first.text
    assert after == (before[0], before[1] + 1)


async def test_together_they_stay_within_the_limit(valkey: Any, tmp_path: Path) -> None:
    """Each could send all that the provider allows: the provider refuses neither."""
    async with (
        Simulator(load_profile("monday", QUICK)) as provider,
        two_systems(provider, valkey.url, tmp_path) as both,
    ):
        questions = [answer(both[n % 2], f"Where is key number {n}?", fresh=True) for n in range(30)]
        answers = await asyncio.gather(*questions)
        chat = surface(provider, "chat")

    assert all(one.text for one in answers)
    assert (chat["calls"], chat["throttled"]) == (30, {})
