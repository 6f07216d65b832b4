"""One link for everything: batches, a dead server, a server that comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rushhour.flow.ledger.coalescer import BATCH_BYTES, WAITING_BYTES, Coalescer, Command, Lost, Refused


class Link:
    """Answers every word with itself, after a while; a word may be an instruction."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.closed = False

    async def exchange(self, commands: Sequence[Command], heard: Callable[[int, Any], None]) -> None:
        words = [command.words[0] for command in commands]
        self.batches.append(words)
        for position, word in enumerate(words):
            await asyncio.sleep(0.05 if word == "slowly" else 0.001)
            if word == "die":
                raise Lost("reset")
            if word == "err":
                raise TypeError("a mistake of ours")
            if word == "hang":
                await asyncio.get_running_loop().create_future()
            heard(position, Refused("OOM") if word == "refuse" else word)

    async def aclose(self) -> None:
        self.closed = True


class Server:
    """Makes links while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.links: list[Link] = []
        self.tried_at: list[float] = []
        self.news: list[str] = []

    async def connect(self) -> Link:
        self.tried_at.append(asyncio.get_running_loop().time())
        if not self.up:
            raise Lost("refused")
        self.links.append(Link())
        return self.links[-1]

    async def coalescer(self) -> Coalescer:
        made = Coalescer(self.connect, self.news.append, lambda: self.news.append("back"), rng=random.Random(1))
        made.start(await self.connect())
        return made


def submit(coalescer: Coalescer, *words: str, urgent: bool = True) -> list[asyncio.Future[Any]]:
    """Submit one command a word, all in this tick."""
    sent = [coalescer.submit(Command((word,)), urgent=urgent) for word in words]
    return [one for one in sent if one is not None]


async def test_one_tick_one_round_trip() -> None:
    """What comes while a batch is on its way makes the next."""
    server = Server()
    coalescer = await server.coalescer()

    first = submit(coalescer, "a", "b", "c")
    await asyncio.sleep(0.0005)
    second = submit(coalescer, "d", "e")

    assert await asyncio.gather(*first, *second) == ["a", "b", "c", "d", "e"]
    assert server.links[0].batches == [["a", "b", "c"], ["d", "e"]]
    assert (coalescer.round_trips, coalescer.commands) == (2, 5)
    await coalescer.aclose()


async def test_leases_go_before_caches_and_large_batches_are_cut() -> None:
    """Nothing urgent waits behind more than a batch of what is not."""
    server = Server()
    coalescer = await server.coalescer()
    large = "x" * (BATCH_BYTES // 2)

    answers = submit(coalescer, large, large, large, urgent=False) + submit(coalescer, "urgent")
    await asyncio.gather(*answers)

    assert [len(batch) for batch in server.links[0].batches] == [3, 1]
    assert server.links[0].batches[0][0] == "urgent"
    await coalescer.aclose()


async def test_what_is_too_much_is_turned_away() -> None:
    """A cache that is used faster than the line allows misses, instead of filling the memory."""
    server = Server()
    coalescer = await server.coalescer()
    large = "x" * (WAITING_BYTES // 4)

    taken = submit(coalescer, *[large] * 6, urgent=False)

    assert len(taken) == 4
    await asyncio.gather(*taken)
    assert len(submit(coalescer, large, urgent=False)) == 1
    await coalescer.aclose()


async def test_silence_is_a_loss_and_slow_answers_are_none() -> None:
    """Each answer has its own patience of 60 to 80 ms, not all of them together."""
    server = Server()
    coalescer = await server.coalescer()
    loop = asyncio.get_running_loop()
    assert await asyncio.gather(*submit(coalescer, *["slowly"] * 5)) == ["slowly"] * 5

    began = loop.time()
    hanging = submit(coalescer, "hang", "behind it")
    results = await asyncio.gather(*hanging, return_exceptions=True)

    assert [type(result) for result in results] == [Lost, Lost]
    assert loop.time() - began <= 0.1
    assert server.news == ["no answer within 80 ms"]
    assert server.links[0].closed
    await coalescer.aclose()


@pytest.mark.parametrize("word", ["die", "refuse"])
async def test_lost_is_told_before_those_who_wait_and_costs_nothing_then(word: str) -> None:
    """A closed connection, or a server that refuses a lease: nothing is submitted until there is a new link."""
    server = Server()
    coalescer = await server.coalescer()
    server.up = False
    order: list[str] = []
    (answer,) = submit(coalescer, word)
    answer.add_done_callback(lambda _done: order.append(f"told after {len(server.news)} news"))

    with pytest.raises(Lost):
        await answer

    assert order == ["told after 1 news"]
    assert coalescer.submit(Command(("a",)), urgent=True) is None
    await coalescer.aclose()


async def test_a_cache_that_is_refused_is_no_loss() -> None:
    """Redis may have no memory for values and still hold the quotas."""
    server = Server()
    coalescer = await server.coalescer()

    (answer,) = submit(coalescer, "refuse", urgent=False)

    with pytest.raises(Refused, match="OOM"):
        await answer
    assert coalescer.reachable
    assert server.news == []
    await coalescer.aclose()


async def test_it_is_looked_for_soon_and_then_every_second() -> None:
    """Attempts are spread out, and jittered, so that a thousand replicas do not come back at once."""
    server = Server()
    coalescer = await server.coalescer()
    server.up = False
    submit(coalescer, "die")
    await asyncio.sleep(30)
    server.up = True
    await asyncio.sleep(1)

    assert server.news == ["reset", "back"]
    assert server.tried_at[1] <= 0.05
    assert 30 <= len(server.tried_at) <= 70
    assert await asyncio.gather(*submit(coalescer, "a")) == ["a"]
    await coalescer.aclose()


async def test_a_link_that_breaks_again_and_again_is_not_a_busy_loop() -> None:
    """A server that proves itself and then refuses every lease is tried less and less often."""
    server = Server()
    coalescer = await server.coalescer()

    async def insist() -> None:
        while True:
            submit(coalescer, "refuse")
            await asyncio.sleep(0.001)

    insisting = asyncio.create_task(insist())
    await asyncio.sleep(20)

    assert len(server.links) <= 50
    insisting.cancel()
    await asyncio.gather(insisting, return_exceptions=True)
    await coalescer.aclose()


async def test_closing_ends_everything() -> None:
    """Whoever still waits is told, the link is closed, no task is left."""
    server = Server()
    coalescer = await server.coalescer()
    hanging = submit(coalescer, "hang")
    await asyncio.sleep(0.01)

    await coalescer.aclose()

    with pytest.raises(Lost):
        await hanging[0]
    assert server.links[0].closed
    assert coalescer.submit(Command(("a",)), urgent=True) is None
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_mistake_of_ours_leaves_nobody_waiting_and_is_not_lost() -> None:
    """Whoever waits is told at once, the quotas go on alone, and the end says what it was."""
    server = Server()
    coalescer = await server.coalescer()

    sent = submit(coalescer, "err", "a")
    answers = await asyncio.gather(*sent, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Lost, Lost]
    assert server.news == ["TypeError('a mistake of ours')"]
    assert submit(coalescer, "b") == []
    with pytest.raises(TypeError, match="a mistake of ours"):
        await coalescer.aclose()
    await coalescer.aclose()
