"""Single requests carried by somebody's own function for many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rushhour import Limits, Rejected, TooLarge, batch


class Embedder:
    """A provider's call for many; a poisonous text is refused with the whole batch."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def __call__(self, texts: Sequence[str]) -> list[int]:
        self.calls.append(list(texts))
        await asyncio.sleep(1)
        if "poison" in texts:
            raise ValueError("cannot embed that")
        return [len(text) for text in texts]


async def test_what_waits_travels_together() -> None:
    """While one call is away the others gather; each caller gets its own reply."""
    embedder = Embedder()
    async with batch(embedder, max_items=10, concurrency=1) as embed:
        replies = await asyncio.gather(*(embed("x" * n) for n in range(1, 21)))

    assert replies == list(range(1, 21))
    assert sum(len(call) for call in embedder.calls) == 20
    assert len(embedder.calls) <= 4


async def test_a_call_carries_no_more_tokens_than_allowed() -> None:
    """And a single item that is larger is refused with the reason."""
    embedder = Embedder()
    async with batch(embedder, max_items=100, max_tokens=10, tokens=len, concurrency=1) as embed:
        await asyncio.gather(*(embed("four") for _ in range(9)))
        with pytest.raises(TooLarge):
            await embed("x" * 11)

    assert max(sum(map(len, call)) for call in embedder.calls) <= 10


async def test_calls_are_paced_by_what_they_carry() -> None:
    """Twelve texts of ten tokens at sixty tokens a minute take a minute and more."""
    embedder = Embedder()
    limits = Limits(tokens_per_minute=60, burst_s=20, use=1)
    async with batch(embedder, max_items=2, max_tokens=20, tokens=len, limits=limits) as embed:
        await asyncio.gather(*(embed("ten tokens") for _ in range(12)))
        assert asyncio.get_running_loop().time() >= 99


async def test_a_poisonous_item_fails_alone() -> None:
    """The others of its batch are sent again without it."""
    embedder = Embedder()
    async with batch(embedder, max_items=8, errors={ValueError: Rejected}, concurrency=1) as embed:
        texts = ["a", "bb", "poison", "dddd"]
        replies = await asyncio.gather(*(embed(text) for text in texts), return_exceptions=True)

    assert [reply for reply in replies if isinstance(reply, int)] == [1, 2, 4]
    assert isinstance(replies[2], Rejected)


async def test_leaving_cancels_who_waits() -> None:
    """No carrier outlives its batch."""
    embedder = Embedder()
    async with batch(embedder, max_items=8) as embed:
        waiting = asyncio.ensure_future(embed("a"))
        await asyncio.sleep(0.5)
    with pytest.raises(asyncio.CancelledError):
        await waiting
