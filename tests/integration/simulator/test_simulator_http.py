"""HTTP/1.1 on the simulator's own connection: what clients may send beyond the usual. Real sockets."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from rushhour.simulator import Simulator

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
BODY = b'{"input":"x","model":"m"}'
POST = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}'


async def _talk(simulator: Simulator, *parts: bytes, until: bytes = b"") -> bytes:
    """Send parts one by one; return what came until a mark, or until the server closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.rsplit(":", 1)[1]))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    came = await reader.readuntil(until) if until else await reader.read()
    writer.close()
    return came


async def test_requests_sent_together_are_answered_in_order(listening: Make) -> None:
    """Forty pipelined requests: forty replies, by turns from two surfaces."""
    models = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with listening() as simulator:
        came = await _talk(simulator, (POST + models) * 19 + POST + last)

    replies = came.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(replies) == 40
    assert all((b'"embedding"' in reply) is (number % 2 == 0) for number, reply in enumerate(replies))


async def test_a_request_may_come_in_pieces(listening: Make) -> None:
    """A byte at a time, the body in chunks."""
    chunked = (
        b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"5\r\n" + BODY[:5] + b"\r\n14\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
    )
    async with listening() as simulator:
        came = await _talk(simulator, *[chunked[place : place + 1] for place in range(len(chunked))])

    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"total_tokens":1' in came


async def test_a_careful_client_is_told_to_go_on(listening: Make) -> None:
    """`Expect: 100-continue` is answered before the body."""
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 25\r\n\r\n"
    async with listening() as simulator:
        assert await _talk(simulator, head, until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert simulator.state()["clients"] == {}


async def test_http_1_0_gets_a_stream_without_chunks(listening: Make) -> None:
    """The connection's end is the body's end."""
    head = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(STREAM)
    async with listening() as simulator:
        came = await _talk(simulator, head + STREAM)

    headers, _, body = came.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in headers
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_head_gets_no_body(listening: Make) -> None:
    """Only its length."""
    async with listening() as simulator:
        came = await _talk(simulator, b"HEAD /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert came.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert came.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\nHost x\r\n\r\n", b"hello\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so(listening: Make, nonsense: bytes) -> None:
    """400 and the end, also for somebody who says https."""
    async with listening() as simulator:
        came = await _talk(simulator, nonsense)

    assert came.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"This is not HTTP/1.1" in came


async def test_a_path_and_its_query_are_decoded(listening: Make) -> None:
    """Names may hold anything."""
    ask = b"GET /vectors/%66etch?ids=a%20b&ids=c&namespace= HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with listening() as simulator:
        came = await _talk(simulator, ask)

    assert came.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_that_reads_slowly_loses_nothing(listening: Make) -> None:
    """A reply of megabytes through a reader that takes a kilobyte at a time."""
    many = b'{"input":[%s],"model":"m","encoding_format":"float"}' % b",".join([b'"x%d"' % n for n in range(1_000)])
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    async with listening(embeddings={"tpm": 10_000_000}) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.rsplit(":", 1)[1]), limit=1_024)
        writer.write(head % len(many) + many)
        came = b""
        while piece := await reader.read(1_024):
            came += piece
        writer.close()

    assert came.count(b'"object":"embedding"') == 1_000
    assert int(came.partition(b"content-length: ")[2].partition(b"\r\n")[0]) == len(came.partition(b"\r\n\r\n")[2])


async def test_stopping_ends_idle_connections_and_calls(listening: Make) -> None:
    """An idle connection sees FIN; nothing keeps the loop busy."""
    async with listening(chat={"faults": {"hang": 1.0}}) as simulator:
        port = int(simulator.url.rsplit(":", 1)[1])
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        hung, hung_writer = await asyncio.open_connection("127.0.0.1", port)
        hung_writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        while not simulator.state()["clients"]:  # noqa: ASYNC110 - the server has no event for a call that arrived
            await asyncio.sleep(0)

        await simulator.stop()

        assert await idle.read() == b""
        assert await hung.read() == b""
        idle_writer.close()
        hung_writer.close()
