"""The ledger tells what each client did, and a reset begins it anew."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rushhour.simulator.exchange import Ending, Request
from rushhour.simulator.ledger import Connection

Make = Callable[..., Any]


async def test_each_client_has_an_account(simulated: Make) -> None:
    """Calls, tokens, cost and bytes are counted by client and surface; surfaces are the sums."""
    client = simulated(embeddings={"price_in": 1_000_000.0})
    await client.embed("x" * 40)
    client.name = "other"
    await client.embed("x" * 8)

    state = client.simulator.state()

    tally = state["clients"]["tester"]["surfaces"]["embeddings"]
    assert (tally["calls"], tally["ok"], tally["tokens_in"], tally["cost_usd"]) == (1, 1, 10, 10.0)
    assert tally["bytes_in"] > 40
    assert tally["bytes_out"] > 512 * 4
    assert state["surfaces"]["embeddings"]["calls"] == 2
    assert state["surfaces"]["embeddings"]["tokens_in"] == 12


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x-sim-client": "crowd", "authorization": "Bearer k"}, "crowd"),
        ({"authorization": "Bearer short-key"}, "short-key"),
        ({"api-key": "sk-0123456789abcdefghijk"}, "sk-0…hijk"),
        ({}, "anonymous"),
    ],
)
async def test_a_client_is_a_name_or_a_key(simulated: Make, headers: dict[str, str], name: str) -> None:
    """A key that could be a real secret is shortened."""
    simulator = simulated().simulator

    (await simulator.handle(Request("POST", "/query", headers, b"{}"))).close(delivered=True, sent=0)

    assert list(simulator.state()["clients"]) == [name]


async def test_texts_paid_for_twice_are_seen(simulated: Make) -> None:
    """Duplicates count within a batch and between calls, each client by itself."""
    client = simulated()
    await client.embed(["a", "b", "a"])
    await client.embed("b")
    client.name = "other"
    await client.embed("a")

    clients = client.simulator.state()["clients"]

    assert clients["tester"]["texts"] == {"embedded": 4, "distinct": 2, "duplicates": 2}
    assert clients["other"]["texts"] == {"embedded": 1, "distinct": 1, "duplicates": 0}


async def test_retries_of_hopeless_calls_and_impatient_retries_are_seen(simulated: Make) -> None:
    """Sending a 400 again, and coming back before the time that was told, are noted; obeying is not."""
    client = simulated(embeddings={"rpm": 1, "tpm": 1_000})
    await client.embed("")
    await client.embed("")
    await client.embed("x")
    await client.embed("y")
    await client.embed("y")
    await asyncio.sleep(60)
    await client.embed("y")

    account = client.simulator.state()["clients"]["tester"]

    assert account["retries_after_terminal"] == 1
    assert account["retries_too_early"] == 1
    assert account["surfaces"]["embeddings"]["throttled"] == {"requests": 2}
    assert account["surfaces"]["embeddings"]["rejected"] == {"400": 2}


async def test_the_series_counts_arrivals_by_second(simulated: Make) -> None:
    """Accepted, throttled and failed calls of each second since the reset, equally long."""
    client = simulated(embeddings={"rpm": 2, "tpm": 1_000, "latency": {"median_s": 0, "slow_share": 0}})
    for _ in range(3):
        await client.embed()
    await asyncio.sleep(2.5)
    await client.embed("")

    assert client.simulator.state()["series"]["embeddings"]["tester"] == {
        "accepted": [2, 0, 0],
        "throttled": [1, 0, 0],
        "failed": [0, 0, 1],
    }


async def test_faults_strike_by_their_share_and_are_counted(simulated: Make) -> None:
    """A reset has no reply, a bad gateway an HTML page without rate-limit headers; neither is charged."""
    client = simulated(embeddings={"faults": {"reset": 0.2, "bad_gateway": 0.3}})
    replies = [await client.embed() for _ in range(200)]

    resets = [reply for reply in replies if reply.ending is Ending.RESET]
    pages = [reply for reply in replies if reply.status == 502]
    tally = client.simulator.state()["clients"]["tester"]["surfaces"]["embeddings"]

    assert 25 <= len(resets) <= 55
    assert 40 <= len(pages) <= 80
    assert tally["faults"] == {"reset": len(resets), "bad_gateway": len(pages)}
    assert tally["ok"] == 200 - len(resets) - len(pages)
    assert tally["tokens_in"] == 2 * tally["ok"]
    assert pages[0].headers["content-type"] == "text/html; charset=UTF-8"
    assert not any(name.startswith("x-ratelimit") for name in pages[0].headers)


async def test_connections_belong_to_the_client_that_used_them_first(simulated: Make) -> None:
    """Opened and peak count connections; a closed one is no longer open."""
    client = simulated()
    await client.embed()
    await client.embed()
    first, client.connection = client.connection, Connection()
    await client.embed()
    first.lost()

    assert client.simulator.state()["clients"]["tester"]["connections"] == {"opened": 2, "open": 1, "peak": 2}


async def test_a_reset_begins_anew(simulated: Make) -> None:
    """Buckets are full, the ledger is empty, the luck starts over; stored vectors stay unless told."""
    client = simulated(embeddings={"rpm": 1})
    first = await client.embed()
    await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})

    reset = await client.post("/_sim/reset", b"")
    again = await client.embed()
    await asyncio.sleep(5)
    kept = await client.post("/query", {"vector": [1, 0], "topK": 1})
    assert reset.status == 200
    assert (again.status, again.headers["x-request-id"]) == (200, first.headers["x-request-id"])
    assert client.simulator.state()["clients"]["tester"]["surfaces"]["embeddings"]["calls"] == 1
    assert b'"id":"a"' in kept.body

    client.simulator.reset(vectors=True)
    assert b'"matches":[]' in (await client.post("/query", {"vector": [1, 0], "topK": 1})).body


async def test_a_late_reply_settles_in_the_old_ledger(simulated: Make) -> None:
    """A call that was under way during a reset does not appear in the new account."""
    client = simulated()
    call = asyncio.create_task(client.embed())
    await asyncio.sleep(0.01)

    client.simulator.reset()
    await call

    state = client.simulator.state()
    assert state["clients"] == {}
    assert state["load"]["embeddings"]["in_flight"] == 0


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/_sim/state", {}, 200),
        ("GET", "/_sim/nothing", {}, 404),
        ("POST", "/_sim/reset", {"vectors": ["maybe"]}, 400),
        ("POST", "/_sim/reset", {"everything": ["1"]}, 400),
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/v1/embeddings", {}, 405),
    ],
)
async def test_unknown_doors_and_parameters_are_named(
    simulated: Make, method: str, path: str, query: dict[str, list[str]], status: int
) -> None:
    """What does not exist is answered with what does, and is in no account."""
    simulator = simulated().simulator

    reply = await simulator.handle(Request(method, path, query=query))

    assert reply.status == status
    assert simulator.state()["clients"] == {}
