"""Every way in which a connection ends, as a client sees it. Real sockets."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest

from rushhour.simulator import Simulator

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
HEADERS = {"x-sim-client": "endings"}
PROMPT = "Tuples are immutable sequences of objects of any kind.\n\nQuestion: What are immutable sequences of objects?"
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}


def _session(simulator: Simulator, **more: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(simulator.url, headers=HEADERS, connector=aiohttp.TCPConnector(limit=1), **more)


async def _chat(session: aiohttp.ClientSession, *, stream: bool = False) -> tuple[int, bytes]:
    async with session.post("/v1/chat/completions", json={**CHAT, "stream": stream}) as reply:
        return reply.status, await reply.read()


def _tally(simulator: Simulator) -> Any:
    return simulator.state()["clients"]["endings"]["surfaces"]["chat"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", aiohttp.ClientOSError),
        ("closed", aiohttp.ServerDisconnectedError),
        ("truncated_body", aiohttp.ClientPayloadError),
        ("cut", aiohttp.ClientError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_that_ends_too_early(
    listening: Make, fault: str, error: type[aiohttp.ClientError], stream: bool
) -> None:
    """Before any header or in the middle, by reset or FIN: the client's own error for each."""
    async with listening(chat={"faults": {fault: 1.0}}) as simulator, _session(simulator) as session:
        with pytest.raises(error):
            await _chat(session, stream=stream)

        assert _tally(simulator)["faults"] == {fault: 1}


async def test_a_truncated_stream_delivers_what_came_before(listening: Make) -> None:
    """The first events arrive whole; then the payload error."""
    async with (
        listening(chat={"faults": {"truncated_body": 1.0}}) as simulator,
        _session(simulator) as session,
        session.post("/v1/chat/completions", json={**CHAT, "stream": True}) as reply,
    ):
        first = await reply.content.readuntil(b"\n\n")
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()

    assert reply.status == 200
    assert b'"role":"assistant"' in first


async def test_an_idle_connection_closes_as_the_call_arrives(listening: Make) -> None:
    """The first call over the connection is served; the second loses the race; a new connection serves again."""
    async with listening(chat={"faults": {"idle_close": 1.0}}) as simulator, _session(simulator) as session:
        assert (await _chat(session))[0] == 200
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await _chat(session)
        assert (await _chat(session))[0] == 200
        opened = simulator.state()["clients"]["endings"]["connections"]["opened"]

    assert opened == 2


async def test_a_fin_is_an_orderly_end_and_a_reset_is_not(listening: Make) -> None:
    """On the bare socket: end of file for the one, ECONNRESET for the other."""
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    for fault in ("closed", "reset"):
        async with listening(chat={"faults": {fault: 1.0}}) as simulator:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.rsplit(":", 1)[1]))
            writer.write(request)
            if fault == "closed":
                assert await reader.read() == b""
            else:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            writer.close()


async def test_a_hang_is_ended_by_the_client_s_timeout_and_frees_the_server(listening: Make) -> None:
    """The call leaves the provider as soon as its client has gone."""
    timeout = aiohttp.ClientTimeout(total=0.2)
    async with listening(chat={"faults": {"hang": 1.0}}) as simulator:
        async with _session(simulator, timeout=timeout) as session:
            with pytest.raises(TimeoutError):
                await _chat(session)
        while not simulator.state()["clients"]["endings"]["surfaces"]:  # noqa: ASYNC110 - the server has no event for a client that left
            await asyncio.sleep(0)

        assert _tally(simulator)["faults"] == {"hang": 1}


async def test_a_stall_delivers_events_and_then_nothing(listening: Make) -> None:
    """A timeout between reads ends it."""
    timeout = aiohttp.ClientTimeout(sock_read=0.3)
    async with (
        listening(chat={"faults": {"stall": 1.0}}) as simulator,
        _session(simulator, timeout=timeout) as session,
        session.post("/v1/chat/completions", json={**CHAT, "stream": True}) as reply,
    ):
        assert b"data: " in await reply.content.readuntil(b"\n\n")
        with pytest.raises(aiohttp.SocketTimeoutError):
            await reply.read()


async def test_a_stream_without_its_end_is_fine_to_http(listening: Make) -> None:
    """Nothing below the application notices: no error, the connection is kept."""
    async with listening(chat={"faults": {"no_done": 1.0}}) as simulator, _session(simulator) as session:
        status, body = await _chat(session, stream=True)
        await _chat(session, stream=True)
        state = simulator.state()

    assert status == 200
    assert b"[DONE]" not in body
    assert state["clients"]["endings"]["connections"]["opened"] == 1


async def test_an_error_inside_a_stream_and_pages_of_the_edge_arrive(listening: Make) -> None:
    """200 with an error event; 520 with HTML, which has no name in any standard."""
    async with listening(chat={"faults": {"sse_error": 1.0}}) as simulator, _session(simulator) as session:
        status, body = await _chat(session, stream=True)
        assert (status, b'data: {"error":' in body) == (200, True)
    async with listening(chat={"faults": {"origin_error": 1.0}}) as simulator, _session(simulator) as session:
        status, body = await _chat(session)
        assert (status, body.startswith(b"<html>")) == (520, True)


async def test_orders_and_the_verdict_over_http(listening: Make) -> None:
    """As curl does it: told to fail twice, failed twice, and judged."""
    async with listening() as simulator, _session(simulator) as session:
        async with session.post("/_sim/faults", data='{"surface": "chat", "fault": "overloaded", "count": 2}') as reply:
            assert reply.status == 200
        statuses = [(await _chat(session))[0] for _ in range(3)]
        async with session.delete("/_sim/faults") as reply:
            assert await reply.json() == {"cleared": True}
        async with session.get("/_sim/verdict", params={"client": "endings"}) as reply:
            verdict = (await reply.json())["clients"]["endings"]

    assert statuses == [503, 503, 200]
    assert verdict["verdict"] == "good"
    assert verdict["figures"]["calls"] == 3
