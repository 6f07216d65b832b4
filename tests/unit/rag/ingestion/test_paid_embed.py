"""Buying embeddings: each text once, whoever wants it at the same time, and whatever fails or leaves."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import Rejected, RushhourError
from rushhour.flow.call import Call
from rushhour.hops.contract import Text, Vector
from rushhour.rag.ingestion.paid_embed import PaidEmbed
from rushhour.rag.ingestion.room import Permits
from rushhour.testing import VirtualTimeLoop

TEXTS = "abcdefgh"


@dataclass
class Shop:
    """A provider that takes its time and remembers what it sold."""

    rng: random.Random
    sold: Counter[str] = field(default_factory=Counter)
    refuses: frozenset[str] = frozenset()
    at_once: int = 0
    peak: int = 0

    async def __call__(self, request: Text, call: Call) -> Vector:
        self.at_once += 1
        self.peak = max(self.peak, self.at_once)
        try:
            await asyncio.sleep(self.rng.random())
        finally:
            self.at_once -= 1
        if request.text in self.refuses:
            raise Rejected(f"No {request.text}.")
        self.sold[request.text] += 1
        return np.array([ord(request.text)], np.float32)


def nobody(_bought: bool) -> None:
    """Watch nothing."""


wishes = st.lists(st.tuples(st.floats(0, 2), st.text(TEXTS, max_size=6)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(wishes, st.sets(st.sampled_from(TEXTS), max_size=2), st.sets(st.integers(0, 7)), st.integers(0, 10**6))
def test_whoever_wants_it_gets_it_and_none_is_sold_twice_at_once(
    wishes: list[tuple[float, str]], refused: set[str], leaving: set[int], seed: int
) -> None:
    """Some leave, some texts are refused: all others have their vectors, in order, within the permits."""
    shop = Shop(random.Random(seed), refuses=frozenset(refused))

    async def play() -> None:
        paid, permits = PaidEmbed(shop, "model"), Permits(3)

        async def wish(after: float, texts: str) -> list[Vector] | RushhourError:
            await asyncio.sleep(after)
            try:
                return await paid.vectors(texts, Call(), permits, nobody)
            except Rejected as cause:
                return cause

        tasks = [asyncio.create_task(wish(after, texts)) for after, texts in wishes]
        await asyncio.sleep(1)
        for place in leaving:
            if place < len(tasks):
                tasks[place].cancel()
        for place, (task, (_, texts)) in enumerate(zip(tasks, wishes, strict=True)):
            if place in leaving:
                await asyncio.wait([task])
                continue
            got = await task
            if refused & set(texts):
                assert isinstance(got, Rejected)
            else:
                assert not isinstance(got, RushhourError)
                assert [chr(int(vector[0])) for vector in got] == list(texts)
        async with asyncio.timeout(1):
            for _ in range(3):
                await permits.acquire()  # all three have been given back
        assert paid._flying == {}
        assert shop.peak <= 3

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


async def test_one_buys_for_all_who_want_it_now() -> None:
    """And only he is told that it was bought."""
    shop, told = Shop(random.Random(1)), Counter[bool]()
    paid, permits = PaidEmbed(shop, "model"), Permits(8)

    def note(bought: bool) -> None:
        told[bought] += 1

    got = await asyncio.gather(*(paid.vectors("abca", Call(), permits, note) for _ in range(5)))

    assert shop.sold == {"a": 1, "b": 1, "c": 1}
    assert told == {True: 3, False: 17}
    assert {tuple(chr(int(vector[0])) for vector in vectors) for vectors in got} == {("a", "b", "c", "a")}


async def test_whoever_waited_for_one_who_left_buys_it_himself() -> None:
    """A cancelled ingestion takes nobody with it."""
    shop = Shop(random.Random(1))
    paid, permits = PaidEmbed(shop, "model"), Permits(8)
    first = asyncio.create_task(paid.vectors("a", Call(), permits, nobody))
    second = asyncio.create_task(paid.vectors("a", Call(), permits, nobody))
    await asyncio.sleep(0)
    first.cancel()

    assert len(await second) == 1
    assert first.cancelled()


async def test_what_was_sent_is_waited_for_when_one_fails() -> None:
    """The others of a batch are being paid for: leaving them would be to pay twice."""
    shop = Shop(random.Random(1), refuses=frozenset("a"))
    paid = PaidEmbed(shop, "model")

    with pytest.raises(Rejected, match="No a"):
        await paid.vectors("abcd", Call(), Permits(8), nobody)

    assert shop.sold == {"b": 1, "c": 1, "d": 1}
