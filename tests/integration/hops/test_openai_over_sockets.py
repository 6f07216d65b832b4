"""The OpenAI adapters over real sockets: streams that are cut, dripped, left and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushhour.errors import (
    AttemptTimeout,
    ConnectionLost,
    DeadlineExceeded,
    Rejected,
    Throttled,
    TruncatedStream,
    Unavailable,
)
from rushhour.flow.call import Call, Event
from rushhour.flow.stream import Stream
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.contract import ChatDelta, ChatRequest, Message, Text, Usage, Used
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.hops.openai_embed import OpenAIEmbed

ASK = ChatRequest((Message("user", "Why is the sky blue?"),), max_tokens=50)
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def text(words: str) -> bytes:
    """Write one event with text."""
    return b'data: {"choices":[{"delta":{"content":"%s"},"finish_reason":null}],"usage":null}\n\n' % words.encode()


@pytest.fixture
async def transport(server: Any) -> AsyncIterator[AiohttpTransport]:
    """Open a transport to the scripted server."""
    opened = AiohttpTransport(server.url, settings="RUSHHOUR_CHAT")
    yield opened
    await opened.aclose()


async def read(stream: Stream[ChatDelta]) -> list[ChatDelta]:
    """Read a stream to its end."""
    async with stream:
        return [delta async for delta in stream]


async def whole_answers(connection: Any) -> None:
    """Answer every request of a connection, the bytes cut at odd places, the body's end only when told."""
    while await connection.request():
        await connection.start_stream()
        events = b"".join([b": hi\r\n\r\n", text("Ray"), text("leigh"), STOP, USAGE, DONE])
        for start in range(0, len(events), 37):
            await connection.chunk(events[start : start + 37])
        await connection.until_told()
        await connection.chunk(b"")


async def test_streams_whole_answers_over_one_connection(server: Any, transport: AiohttpTransport) -> None:
    """After [DONE] the body is read to its end, so that the next call needs no new connection."""
    server.play(whole_answers)
    seen: list[Event] = []
    for _ in range(5):
        server.go_on.clear()
        deltas = []
        async with await OpenAIChat(transport, "m")(ASK, Call(emit=seen.append)) as stream:
            async for delta in stream:
                deltas.append(delta)
                if delta.finish_reason:
                    server.go_on.set()
        assert "".join(delta.text for delta in deltas) == "Rayleigh"
        assert deltas[-1] == ChatDelta("", "stop", Usage(9, 0, 2))
    assert seen == [Used("", "m", Usage(9, 0, 2))] * 5
    assert server.connections == 1


async def talk_then(connection: Any, *last: Any) -> None:
    """Send a first text, and when the test says so do what is left."""
    await connection.request()
    await connection.start_stream()
    await connection.chunk(text("Ray"))
    await connection.until_told()
    for one in last:
        await one()


async def cut(connection: Any) -> None:
    """Break off in the midst of a chunk."""
    await talk_then(connection, lambda: connection.send(b"ff\r\ndata: {"))


async def clean_end(connection: Any) -> None:
    """End the body properly, without a finish reason or [DONE]."""
    await talk_then(connection, lambda: connection.chunk(b""), connection.client_gone)


async def error_inside(connection: Any) -> None:
    """Report an error after a 200."""
    await talk_then(connection, lambda: connection.chunk(b'data: {"error":{"message":"busy","code":503}}\n\n'))


async def silence(connection: Any) -> None:
    """Fall silent."""
    await talk_then(connection, connection.client_gone)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (cut, ConnectionLost),
        (clean_end, TruncatedStream),
        (error_inside, Unavailable),
        (silence, AttemptTimeout),
    ],
    ids=lambda value: value.__name__,
)
async def test_a_stream_that_breaks_is_an_error(
    server: Any, transport: AiohttpTransport, script: Any, error: type[Exception]
) -> None:
    """After the first text the stream raises; nothing passes as a whole answer."""
    server.play(script)
    stream = await OpenAIChat(transport, "m", 10, read_timeout_s=0.3)(ASK, Call())
    assert (await anext(stream)).text == "Ray"
    server.go_on.set()
    with pytest.raises(error):
        await anext(stream)
    await stream.aclose()


async def drip(connection: Any) -> None:
    """Send a letter now and then, for ever: no single read is slow."""
    await connection.request()
    await connection.start_stream()
    while True:
        await connection.chunk(text("x"))
        await asyncio.sleep(0.02)


async def test_a_slow_drip_is_cut_by_the_deadline(server: Any, transport: AiohttpTransport) -> None:
    """The stream's deadline bounds the whole, where a timeout a read never would; then the upstream is aborted."""

    async def drip_until_gone(connection: Any) -> None:
        dripping = asyncio.create_task(drip(connection))
        try:
            await dripping
        except ConnectionError:
            server.client_closed.set()
        finally:
            dripping.cancel()

    server.play(drip_until_gone)
    stream = await OpenAIChat(transport, "m", 10)(ASK, Call())
    stream.deadline = asyncio.get_running_loop().time() + 0.3
    with pytest.raises(DeadlineExceeded):
        await read(stream)
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_the_provider_sees_when_the_reader_leaves(server: Any, transport: AiohttpTransport) -> None:
    """Closing the stream closes the connection."""
    server.play(silence)
    server.go_on.set()
    async with await OpenAIChat(transport, "m")(ASK, Call()) as stream:
        await anext(stream)
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_the_provider_sees_when_the_reader_is_cancelled(server: Any, transport: AiohttpTransport) -> None:
    """A client that hangs up in the midst of a stream cancels the task that reads it."""
    server.play(silence)
    server.go_on.set()
    reading = asyncio.Event()

    async def listen() -> None:
        async with await OpenAIChat(transport, "m")(ASK, Call()) as stream:
            async for _ in stream:
                reading.set()

    task = asyncio.create_task(listen())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def no_text(connection: Any) -> None:
    """Accept, send headers, and never say a word."""
    await connection.request()
    await connection.start_stream()
    await connection.client_gone()


async def test_the_provider_sees_when_the_caller_is_cancelled(server: Any, transport: AiohttpTransport) -> None:
    """Also before the first text."""
    server.play(no_text)
    task = asyncio.create_task(OpenAIChat(transport, "m")(ASK, Call()))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_no_first_text_in_time_is_a_timeout(server: Any, transport: AiohttpTransport) -> None:
    """The attempt fails, where it can be retried, and the connection is closed."""
    server.play(no_text)
    with pytest.raises(AttemptTimeout):
        await OpenAIChat(transport, "m", 0.2)(ASK, Call())
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_refusals_keep_their_connection(server: Any, transport: AiohttpTransport) -> None:
    """A throttled crowd must not open a connection for every 429."""

    async def refuse(connection: Any) -> None:
        while await connection.request():
            await connection.reply(b'{"error":{"message":"Please try again in 20ms."}}', "429 Too Many Requests")

    server.play(refuse)
    for _ in range(5):
        with pytest.raises(Throttled) as caught:
            await OpenAIChat(transport, "m")(ASK, Call())
        assert caught.value.retry_after == 0.02
    assert server.connections == 1


async def test_an_edges_page_is_unavailable(server: Any, transport: AiohttpTransport) -> None:
    """502 with HTML, for embeddings and chat alike."""

    async def edge(connection: Any) -> None:
        while await connection.request():
            await connection.reply(b"<html>Bad gateway</html>", "502 Bad Gateway", "Content-Type: text/html")

    server.play(edge)
    with pytest.raises(Unavailable, match="HTML"):
        await OpenAIEmbed(transport, "m")([Text("x")], Call())
    with pytest.raises(Unavailable, match="HTML"):
        await OpenAIChat(transport, "m")(ASK, Call())


async def test_a_wrong_path_is_explained(server: Any, transport: AiohttpTransport) -> None:
    """A base URL without /v1 is the commonest slip."""

    async def nowhere(connection: Any) -> None:
        await connection.request()
        await connection.reply(b"404 page not found", "404 Not Found")

    server.play(nowhere)
    with pytest.raises(Rejected, match="RUSHHOUR_CHAT__BASE_URL"):
        await OpenAIChat(transport, "m")(ASK, Call())
