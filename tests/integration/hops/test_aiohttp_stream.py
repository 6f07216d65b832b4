"""Bodies that arrive over time, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rushhour.errors import AttemptTimeout
from rushhour.hops.aiohttp_transport import AiohttpTransport

Opening = Callable[..., AiohttpTransport]


async def hang(connection: Any) -> None:
    """Never answer."""
    await connection.request()
    await connection.client_gone()


async def open_stream(transport: AiohttpTransport, read_timeout: float = 10.0) -> Any:
    """Open a stream."""
    return await transport.stream("POST", "/chat", b"{}", {}, 10.0, read_timeout)


async def test_a_stream_read_to_its_end_frees_its_connection(server: Any, opening: Opening) -> None:
    """Bytes come as they arrive; the next call takes the same connection."""

    async def two_chunks(connection: Any) -> None:
        while await connection.request():
            await connection.start_stream()
            for data in (b"one", b"two", b""):
                await connection.chunk(data)

    server.play(two_chunks)
    transport = opening()
    for _ in range(3):
        stream = await open_stream(transport)
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        parts = []
        while part := await stream.read():
            parts.append(part)
        await stream.aclose()
        assert b"".join(parts) == b"onetwo"
    assert server.connections == 1


async def one_chunk_then_silence(connection: Any) -> None:
    """Start to answer, then fall silent."""
    await connection.request()
    await connection.start_stream()
    await connection.chunk(b"one")
    await connection.client_gone()


async def test_a_stream_left_early_is_aborted(server: Any, opening: Opening) -> None:
    """The provider stops generating for nobody."""
    server.play(one_chunk_then_silence)
    stream = await open_stream(opening())
    assert await stream.read() == b"one"
    await stream.aclose()
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_a_silent_stream_times_out(server: Any, opening: Opening) -> None:
    """Each read has its own timeout, and after it the connection is gone."""
    server.play(one_chunk_then_silence)
    stream = await open_stream(opening(), read_timeout=0.2)
    assert await stream.read() == b"one"
    with pytest.raises(AttemptTimeout):
        await stream.read()
    await asyncio.wait_for(server.client_closed.wait(), 10)


async def test_a_stream_that_never_starts_times_out(server: Any, opening: Opening) -> None:
    """Waiting for the headers has a timeout of its own."""
    server.play(hang)
    with pytest.raises(AttemptTimeout):
        await opening().stream("POST", "/chat", b"{}", {}, 0.2, 10.0)
    await asyncio.wait_for(server.client_closed.wait(), 10)
