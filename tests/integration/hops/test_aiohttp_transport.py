"""The transport over real sockets: what servers do to connections, and what becomes of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from rushhour.errors import AttemptTimeout, ConnectionLost, MalformedReply, UpstreamError
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.transport import JSON_HEADERS, Reply

Opening = Callable[..., AiohttpTransport]


def post(transport: AiohttpTransport, body: bytes = b"{}", timeout: float = 10.0) -> Any:
    """Send one request."""
    return transport.send("POST", "/embeddings", body, JSON_HEADERS, timeout)


async def echo(connection: Any) -> None:
    """Answer every request of a connection with its own body."""
    while whole := await connection.request():
        await connection.reply(whole.partition(b"\r\n\r\n")[2], "200 OK", "X-RateLimit-Limit-Requests: 60")


async def test_sends_and_receives_bytes(server: Any, opening: Opening) -> None:
    """Path, key and body go out; status, lower-case headers and body come back."""
    server.play(echo)
    reply = await post(opening(), b'{"input":"\xc3\xbc"}')
    assert (reply.status, reply.body) == (200, b'{"input":"\xc3\xbc"}')
    assert reply.headers["x-ratelimit-limit-requests"] == "60"
    head = server.requests[0].lower()
    assert head.startswith(b"post /v1/embeddings http/1.1\r\n")
    assert b"authorization: bearer k\r\n" in head
    assert b"content-type: application/json\r\n" in head


async def test_one_connection_serves_many_calls(server: Any, opening: Opening) -> None:
    """Keep-alive is what makes a call cheap."""
    server.play(echo)
    transport = opening()
    for _ in range(20):
        await post(transport)
    assert server.connections == 1


async def test_no_hidden_cap_on_connections(server: Any, opening: Opening) -> None:
    """300 calls are on their way at once: the server answers none before all have arrived."""
    everyone = asyncio.Event()

    async def together(connection: Any) -> None:
        await connection.request()
        if len(server.requests) == 300:
            everyone.set()
        await everyone.wait()
        await connection.reply(b"ok")

    server.play(together)
    transport = opening()
    replies = await asyncio.gather(*(post(transport, timeout=60) for _ in range(300)))
    assert [reply.body for reply in replies] == [b"ok"] * 300


async def test_connections_can_be_capped(server: Any, opening: Opening) -> None:
    """The others wait for a free one."""
    server.play(echo)
    transport = opening(connections=2)
    await asyncio.gather(*(post(transport) for _ in range(20)))
    assert server.connections <= 2


async def test_idle_connections_are_dropped_before_servers_drop_them(server: Any, opening: Opening) -> None:
    """The client closes an idle connection, so no request meets a server that is just closing it."""

    async def once_then_idle(connection: Any) -> None:
        await connection.request()
        await connection.reply(b"ok")
        await connection.client_gone()

    server.play(once_then_idle)
    await post(opening(keepalive_s=0.05))
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_a_status_is_a_reply(server: Any, opening: Opening) -> None:
    """Errors of the API are the adapter's to read, and redirects are not followed."""
    statuses = iter(["502 Bad Gateway", "302 Found"])

    async def refuse(connection: Any) -> None:
        while await connection.request():
            await connection.reply(b"<html>oops</html>", next(statuses), "Location: http://127.0.0.1:1/")

    server.play(refuse)
    transport = opening()
    assert [(await post(transport)).status for _ in range(2)] == [502, 302]
    assert len(server.requests) == 2


async def test_a_refused_connection_says_what_to_check(opening: Opening) -> None:
    """Nobody listens: server down, or wrong URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionLost, match=rf"127.0.0.1:{port} refuses .* running.*RUSHHOUR_X__BASE_URL"):
            await post(opening(f"http://127.0.0.1:{port}/v1"))


async def vanish(connection: Any) -> None:
    """Close without a word."""
    await connection.request()


async def reset(connection: Any) -> None:
    """Read the request, then reset."""
    await connection.request()
    connection.reset()


async def reset_at_once(connection: Any) -> None:
    """Reset before reading."""
    connection.reset()


async def cut_by_length(connection: Any) -> None:
    """Promise more bytes than are sent."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")


async def cut_in_a_chunk(connection: Any) -> None:
    """Stop in the midst of a chunk."""
    await connection.request()
    await connection.start_stream()
    await connection.send(b"40\r\nhalf a chunk")


async def cut_in_the_head(connection: Any) -> None:
    """Stop in the midst of the headers."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def not_http(connection: Any) -> None:
    """Speak another protocol."""
    await connection.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    await connection.request()


async def bad_gzip(connection: Any) -> None:
    """Send what cannot be unpacked."""
    await connection.request()
    await connection.reply(b"this is not gzip", "200 OK", "Content-Encoding: gzip")


async def bad_chunk(connection: Any) -> None:
    """Send a chunk size that is no number."""
    await connection.request()
    await connection.start_stream()
    await connection.send(b"zz\r\nwhat\r\n")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (vanish, ConnectionLost),
        (reset, ConnectionLost),
        (reset_at_once, ConnectionLost),
        (cut_by_length, ConnectionLost),
        (cut_in_a_chunk, ConnectionLost),
        (cut_in_the_head, ConnectionLost),
        (bad_chunk, UpstreamError),
        (bad_gzip, UpstreamError),
        (not_http, MalformedReply),
    ],
    ids=lambda value: value.__name__,
)
async def test_a_broken_exchange_is_our_error(
    server: Any, opening: Opening, script: Any, error: type[Exception]
) -> None:
    """Whatever happens to the connection, nothing of aiohttp comes out, and nothing is sent twice."""
    server.play(script)
    with pytest.raises(error) as caught:
        await post(opening())
    assert isinstance(caught.value, UpstreamError)
    assert "127.0.0.1" in str(caught.value)
    assert len(server.requests) <= 1


async def test_a_stale_connection_is_not_retried_behind_our_back(server: Any, opening: Opening) -> None:
    """A server that closes an idle connection just as the request arrives: the retry policy decides, not a library."""

    async def once_then_reset(connection: Any) -> None:
        await connection.request()
        await connection.reply(b"ok")
        await connection.request()
        connection.reset()

    server.play(once_then_reset)
    transport = opening()
    assert (await post(transport)).body == b"ok"
    with pytest.raises(ConnectionLost):
        await post(transport)
    assert len(server.requests) == 2
    assert (await post(transport)).body == b"ok"


async def test_https_to_an_http_port_is_explained(server: Any, opening: Opening) -> None:
    """A common slip in a URL."""
    server.play(not_http)
    with pytest.raises(ConnectionLost, match="https where the server speaks http"):
        await post(opening(server.url.replace("http:", "https:")))


async def hang(connection: Any) -> None:
    """Never answer."""
    await connection.request()
    await connection.client_gone()


async def hang_in_the_body(connection: Any) -> None:
    """Answer, but not to the end."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    await connection.client_gone()


@pytest.mark.parametrize("script", [hang, hang_in_the_body], ids=lambda value: value.__name__)
async def test_a_hung_server_is_left_in_time(server: Any, opening: Opening, script: Any) -> None:
    """The attempt times out, the message says which setting governs it, and the server sees the end."""
    server.play(script)
    with pytest.raises(AttemptTimeout, match=r"0.2 s.*RUSHHOUR_X__TIMEOUT_S"):
        await post(opening(), timeout=0.2)
    await asyncio.wait_for(server.client_closed.wait(), 10)


@pytest.mark.parametrize("script", [hang, hang_in_the_body], ids=lambda value: value.__name__)
async def test_a_cancelled_call_closes_its_connection(server: Any, opening: Opening, script: Any) -> None:
    """The server sees that nobody waits any more, and the transport goes on working."""
    server.play(script)
    transport = opening()
    task = asyncio.create_task(post(transport))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.client_closed.wait(), 10)
    server.play(echo)
    assert (await post(transport, b"again")).body == b"again"


async def test_a_closed_transport_says_so(server: Any, opening: Opening) -> None:
    """Calls after the end are refused as ours, and closing twice is no error."""
    server.play(echo)
    transport = opening()
    assert isinstance(await post(transport), Reply)
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(ConnectionLost, match="shutting down"):
        await post(transport)


async def test_closing_ends_the_calls_on_their_way(server: Any, opening: Opening) -> None:
    """A shutdown leaves no call hanging, and no foreign error comes out."""
    server.play(hang)
    transport = opening()
    task = asyncio.create_task(post(transport))
    await server.asked.wait()
    await transport.aclose()
    with pytest.raises(ConnectionLost):
        await task
