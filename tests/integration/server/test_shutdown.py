"""The end of a server: signals, the grace, and what is left afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import Any

import psutil
import pytest

from rushhour.server.run import CannotListen, listen

REQUEST = json.dumps({"model": "manual", "messages": [{"role": "user", "content": "Why?"}], "stream": True}).encode()


async def open_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask, and return once the first word is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\n")
    writer.write(b"content-length: %d\r\n\r\n%b" % (len(REQUEST), REQUEST))
    await reader.readuntil(b"The with statement")
    return reader, writer


async def test_open_answers_finish_within_the_grace(run: Any, engine: Any) -> None:
    """After SIGTERM nobody new is let in, and who is inside gets the whole answer."""
    engine.may_go_on.clear()
    async with run(shutdown_grace_s=60) as server:
        reader, writer = await open_stream(server.port)
        os.kill(os.getpid(), signal.SIGTERM)
        await refuses_connections(server.port)
        assert server.app.state.drain.begun
        engine.may_go_on.set()
        rest = await reader.read(-1)
        await server.task
        writer.close()
        await writer.wait_closed()
    assert b"data: [DONE]" in rest
    assert engine.open == 0


async def refuses_connections(port: int) -> None:
    """Wait until nobody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was in the queue of a listener that closed just then
            continue
        writer.close()
        await asyncio.sleep(0.01)


async def test_after_the_grace_streams_end_with_an_error(run: Any, engine: Any) -> None:
    """A stream that cannot finish says so, and does not pretend to be done."""
    engine.may_go_on.clear()
    async with run(shutdown_grace_s=0.05) as server:
        reader, writer = await open_stream(server.port)
        os.kill(os.getpid(), signal.SIGINT)
        rest = await reader.read(-1)
        await server.task
        writer.close()
        await writer.wait_closed()
    assert b'"code":"server_shutting_down"' in rest
    assert b"[DONE]" not in rest
    assert engine.open == 0


async def test_a_waiting_client_gets_a_status(run: Any, engine: Any) -> None:
    """Whoever was not answered yet is told by a 503 to try another replica."""
    engine.may_start.clear()
    async with run(shutdown_grace_s=0.05) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\n")
        writer.write(b"content-length: %d\r\n\r\n%b" % (len(REQUEST), REQUEST))
        await engine.waiting.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        reply = await reader.read(-1)
        await server.task
        writer.close()
        await writer.wait_closed()
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert b"x-should-retry: true" in reply
    assert engine.cancelled.is_set()


async def test_cancelling_leaves_no_task(run: Any, engine: Any) -> None:
    """Cancelled, the server ends its streams at once and leaves nothing behind."""
    engine.may_go_on.clear()
    before = asyncio.all_tasks()
    async with run(shutdown_grace_s=60) as server:
        reader, writer = await open_stream(server.port)
        server.stop()
        rest = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0)
    assert b"server_shutting_down" in rest
    assert asyncio.all_tasks() == before


async def test_a_client_that_does_not_read_cannot_stop_the_end(
    run: Any, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone who never reads is cut off after the grace, with whatever is still on its way to them."""
    monkeypatch.setattr("rushhour.server.run.FAREWELL_S", 0.1)
    engine.talks_forever = True
    before, files = asyncio.all_tasks(), psutil.Process().num_fds()
    async with run(shutdown_grace_s=0) as server:
        _, writer = await open_stream(server.port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # sockets can, their declared type cannot
        await nothing_more_is_said(engine)
        os.kill(os.getpid(), signal.SIGTERM)
        await server.task
        await asyncio.sleep(0)
        assert psutil.Process().num_fds() == files + 1, "only the client's own end is open"
        writer.transport.abort()
    await asyncio.sleep(0)
    assert engine.open == 0
    assert asyncio.all_tasks() == before


async def nothing_more_is_said(engine: Any) -> None:
    """Wait until every buffer on the way is full."""
    said = -1
    while said != engine.talked:
        said = engine.talked
        await asyncio.sleep(0.1)


async def test_a_second_signal_ends_the_grace(run: Any, engine: Any) -> None:
    """An impatient operator need not wait for the grace."""
    engine.may_go_on.clear()
    async with run(shutdown_grace_s=600) as server:
        reader, writer = await open_stream(server.port)
        os.kill(os.getpid(), signal.SIGINT)
        await refuses_connections(server.port)
        os.kill(os.getpid(), signal.SIGINT)
        rest = await reader.read(-1)
        await server.task
        writer.close()
        await writer.wait_closed()
    assert b"server_shutting_down" in rest


async def test_port_in_use() -> None:
    """Two servers on one port: the second says which port, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"Port {port} on 127.0.0.1 is in use.*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_address_that_is_not_ours(host: str) -> None:
    """A host that is not this machine is named in the message."""
    with pytest.raises(CannotListen, match=host.replace(".", r"\.")):
        listen(host, 0)
