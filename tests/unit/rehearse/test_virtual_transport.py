"""The transport without sockets: connections are kept, cut and lost as over TCP, and the simulator hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from rushhour.errors import AttemptTimeout, ConnectionLost
from rushhour.hops.transport import ByteStream
from rushhour.rehearse.virtual.transport import DELAY_S, KEEPALIVE_S, SimulatedTransport
from rushhour.simulator import Simulator, build_profile
from rushhour.simulator.faults.orders import Order

PROFILE: dict[str, Any] = {
    "chat": {"latency": {"median_s": 0.5, "sigma": 0, "slow_share": 0}, "tokens_per_s": [50, 50]},
    "embeddings": {"latency": {"median_s": 0.3, "sigma": 0, "slow_share": 0}},
}
ASKED = msgspec.json.encode(
    {"model": "m", "stream": True, "messages": [{"role": "user", "content": "What does the manual say? It is long."}]}
)
EMBEDDED = msgspec.json.encode({"model": "e", "input": ["one text"]})


def _simulator(*faults: Order) -> Simulator:
    simulator = Simulator(build_profile(PROFILE))
    simulator.open()
    for fault in faults:
        simulator.inject(fault)
    return simulator


def _transport(simulator: Simulator) -> SimulatedTransport:
    return SimulatedTransport(simulator.handle, {"Authorization": "Bearer us"}, "/v1")


def _account(simulator: Simulator) -> dict[str, Any]:
    account: dict[str, Any] = simulator.ledger()["clients"]["us"]
    return account


async def _all(transport: SimulatedTransport, read_timeout: float = 5.0) -> bytes:
    stream = await transport.stream("POST", "/chat/completions", ASKED, {}, 30.0, read_timeout)
    parts = []
    try:
        while part := await stream.read():
            parts.append(part)
    finally:
        await stream.aclose()
    return b"".join(parts)


async def _read_on(stream: ByteStream, arrived: list[bytes]) -> None:
    while part := await stream.read():
        arrived.append(part)


async def test_a_reply_takes_the_networks_time_and_the_providers() -> None:
    """A first call opens a connection, which is a round trip more."""
    transport = _transport(_simulator())

    reply = await transport.send("POST", "/embeddings", EMBEDDED, {}, 5.0)

    assert reply.status == 200
    assert asyncio.get_running_loop().time() == pytest.approx(0.3 + 4 * DELAY_S)


async def test_connections_are_kept_for_a_while() -> None:
    """The next call finds the connection; one that comes too late opens another."""
    simulator = _simulator()
    transport = _transport(simulator)
    for pause in (0.0, KEEPALIVE_S - 1, KEEPALIVE_S + 1):
        await asyncio.sleep(pause)
        await transport.send("POST", "/embeddings", EMBEDDED, {}, 5.0)

    assert _account(simulator)["connections"] == {"opened": 2, "open": 1, "peak": 1}
    await transport.aclose()
    assert _account(simulator)["connections"]["open"] == 0


async def test_tokens_arrive_while_nobody_reads() -> None:
    """Who gathers for a while finds all that came meanwhile."""
    transport = _transport(_simulator())
    stream = await transport.stream("POST", "/chat/completions", ASKED, {}, 30.0, 5.0)

    await stream.gather(60.0)
    first = await stream.read()

    assert first.endswith(b"data: [DONE]\n\n")
    assert await stream.read() == b""


@pytest.mark.parametrize("fault", ["reset", "closed"])
async def test_a_connection_lost_before_the_headers(fault: str) -> None:
    """It is an error of its own, and the connection is not used again."""
    simulator = _simulator(Order(fault=fault, surface="embeddings"))
    transport = _transport(simulator)

    with pytest.raises(ConnectionLost):
        await transport.send("POST", "/embeddings", EMBEDDED, {}, 5.0)

    assert _account(simulator)["connections"]["open"] == 0
    assert (await transport.send("POST", "/embeddings", EMBEDDED, {}, 5.0)).status == 200


async def test_a_stream_that_is_cut_says_so_after_its_last_bytes() -> None:
    """What arrived can be read; its end is no end."""
    simulator = _simulator(Order(fault="cut", surface="chat"))
    stream = await _transport(simulator).stream("POST", "/chat/completions", ASKED, {}, 30.0, 5.0)

    arrived: list[bytes] = []
    with pytest.raises(ConnectionLost):
        await _read_on(stream, arrived)

    assert b"data:" in b"".join(arrived)
    assert b"[DONE]" not in b"".join(arrived)
    assert _account(simulator)["connections"]["open"] == 0


async def test_a_provider_that_hangs_is_left_in_time() -> None:
    """The timeout ends the call at both ends."""
    simulator = _simulator(Order(fault="hang", surface="chat"))

    with pytest.raises(AttemptTimeout):
        await _transport(simulator).stream("POST", "/chat/completions", ASKED, {}, 2.0, 5.0)

    assert asyncio.get_running_loop().time() == pytest.approx(2.0)
    assert simulator.state()["load"]["chat"]["in_flight"] == 0
    assert _account(simulator)["connections"]["open"] == 0


async def test_a_stream_that_stalls_ends_with_the_read_timeout() -> None:
    """Silence for so long is an error, and the provider's place is free again."""
    simulator = _simulator(Order(fault="stall", surface="chat"))

    with pytest.raises(AttemptTimeout):
        await _all(_transport(simulator), read_timeout=3.0)

    assert simulator.state()["load"]["chat"]["in_flight"] == 0


@pytest.mark.parametrize("after_s", [0.0, 0.2])
async def test_a_reader_who_leaves_frees_the_provider(after_s: float) -> None:
    """Closing at once, or in the middle, aborts the answer; the ledger calls it abandoned."""
    simulator = _simulator()
    stream = await _transport(simulator).stream("POST", "/chat/completions", ASKED, {}, 30.0, 5.0)

    await stream.gather(after_s) if after_s else None
    await stream.aclose()

    assert simulator.state()["load"]["chat"]["in_flight"] == 0
    assert _account(simulator)["surfaces"]["chat"]["abandoned"] == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_is_sent_after_closing() -> None:
    """A transport that is closed says so."""
    transport = _transport(_simulator())
    await transport.aclose()

    with pytest.raises(ConnectionLost, match="shutting down"):
        await transport.send("POST", "/embeddings", EMBEDDED, {}, 5.0)
