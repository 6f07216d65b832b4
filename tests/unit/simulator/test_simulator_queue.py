"""A provider that queues instead of refusing: turns are first come, first served, and nobody is told 429."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rushhour.simulator import Simulator, load_profile
from rushhour.simulator.exchange import Request
from rushhour.simulator.latency import QueueFull, SharedQueue

Make = Callable[..., Any]
Clock = Callable[[], float]
SECOND = {"median_s": 1.0, "sigma": 0.0, "slow_share": 0.0, "capacity": 1_000_000}


async def test_the_time_to_an_answer_grows_with_everybody_ahead(simulated: Make, clock: Clock) -> None:
    """Twelve calls, three at a time, one second each: done after 1, 2, 3 and 4 s, in order, with no 429."""
    client = simulated(embeddings={"rpm": 1_000_000, "latency": {**SECOND, "slots": 3}})
    done: list[tuple[int, float, int]] = []

    async def ask(number: int) -> None:
        reply = await client.embed()
        done.append((number, clock(), reply.status))

    await asyncio.gather(*[ask(number) for number in range(12)])

    assert [number for number, _, _ in done] == list(range(12))
    assert [at for _, at, _ in done] == pytest.approx([1] * 3 + [2] * 3 + [3] * 3 + [4] * 3, rel=1e-4)
    assert {status for _, _, status in done} == {200}
    assert client.simulator.state()["load"]["embeddings"] == {"in_flight": 0, "peak": 12, "waiting": 0}


async def test_a_stream_holds_its_slot_until_it_is_closed(simulated: Make, clock: Clock) -> None:
    """The next call's first token comes after the last of this one."""
    client = simulated(chat={"latency": {**SECOND, "slots": 1}, "tokens_per_s": [10, 10]})
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    first = await client.simulator.handle(Request("POST", "/v1/chat/completions", body=body))
    second = asyncio.create_task(client.chat())
    await asyncio.sleep(50)
    assert client.simulator.state()["load"]["chat"]["waiting"] == 1

    first.close(delivered=False, sent=0)
    await second

    assert 51 < clock() < 60


async def test_a_full_queue_turns_the_next_away(simulated: Make) -> None:
    """One at work, two waiting; the fourth is told 503, and its place is nobody's."""
    client = simulated(chat={"latency": {**SECOND, "slots": 1, "max_waiting": 2}})

    statuses = sorted([reply.status for reply in await asyncio.gather(*[client.chat() for _ in range(4)])])

    assert statuses == [200, 200, 200, 503]
    assert client.simulator.state()["load"]["chat"] == {"in_flight": 0, "peak": 3, "waiting": 0}


async def test_whoever_leaves_the_queue_frees_the_place() -> None:
    """A cancelled waiter is passed over, whether it waits or has just been called."""
    queue = SharedQueue(100, slots=1)
    await queue.turn()
    tasks = [asyncio.create_task(queue.turn()) for _ in range(4)]
    await asyncio.sleep(0)

    tasks[0].cancel()
    queue.leave()  # passes over the first, calls the second
    tasks[1].cancel()  # …which leaves with the slot in its hand
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    await tasks[2]

    assert (queue.in_flight, queue.waiting) == (2, 1)
    queue.leave()
    await tasks[3]
    queue.leave()
    assert (queue.in_flight, queue.waiting) == (0, 0)


async def test_a_full_queue_counts_only_those_that_wait() -> None:
    """With nobody allowed to wait, a free slot is still taken."""
    queue = SharedQueue(100, slots=1, max_waiting=0)
    assert await queue.turn() == 1.0

    with pytest.raises(QueueFull):
        await queue.turn()

    queue.leave()
    assert await queue.turn() == 1.0


@pytest.mark.parametrize("name", ["vllm", "ollama"])
async def test_a_server_of_ones_own_tells_no_limits(name: str) -> None:
    """It has none, and none of the headers of a hosted API."""
    simulator = Simulator(load_profile(name))
    simulator.open()
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'

    reply = await simulator.handle(Request("POST", "/v1/chat/completions", body=body))
    reply.close(delivered=True, sent=0)

    assert reply.status == 200
    assert not [header for header in reply.headers if header.startswith("x-ratelimit")]
