"""The server over raw sockets: bad input, hang-ups, crowds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

CROWD = 1000


def post(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: test", "connection: close", *headers]
    if not any(line.startswith("transfer-encoding") for line in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def question(stream: bool) -> bytes:
    """Return a good request."""
    return post(
        json.dumps({"model": "manual", "messages": [{"role": "user", "content": "Why?"}], "stream": stream}).encode()
    )


async def exchange(port: int, request: bytes) -> tuple[int, bytes, bytes]:
    """Send a request and read to the end; return status, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        reply = await reader.read(-1)
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


async def test_body_that_is_not_json(run: Any) -> None:
    """Broken JSON is a 400 in OpenAI's shape."""
    async with run() as server:
        status, head, body = await exchange(server.port, post(b"{nonsense"))
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_request")
    assert b"x-request-id: req_" in head


async def test_body_too_large(run: Any, engine: Any) -> None:
    """A large body is refused by its declared length, or as soon as it has grown too large."""
    chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
    async with run(max_body_bytes=2000) as server:
        declared = await exchange(server.port, post(b" " * 300_000))
        grown = await exchange(server.port, post(chunk * 3 + b"0\r\n\r\n", "transfer-encoding: chunked"))
    for status, _, body in (declared, grown):
        assert status == 413
        assert b"may have 2,000 bytes" in body
    assert engine.asked == []


async def test_client_hangs_up_midway(run: Any, engine: Any) -> None:
    """A client that leaves a stream sets its permits free."""
    engine.may_go_on.clear()
    async with run() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(question(stream=True))
        await reader.readuntil(b"The with statement")
        assert engine.open == 1
        writer.transport.abort()
        await engine.closed.wait()
        assert engine.open == 0
        await requests_counted(server, "499")


async def test_client_hangs_up_while_it_waits(run: Any, engine: Any) -> None:
    """A client that leaves before the first word is forgotten, streamed or not."""
    engine.may_start.clear()
    async with run() as server:
        for stream in (False, True):
            engine.cancelled.clear()
            engine.waiting.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(question(stream))
            await engine.waiting.wait()
            writer.close()
            await engine.cancelled.wait()


async def requests_counted(server: Any, status: str) -> None:
    """Wait until a request with this status is in the metrics."""
    labels = {"route": "/v1/chat/completions", "status": status}
    while server.metrics.registry.get_sample_value("rushhour_requests_total", labels) is None:  # noqa: ASYNC110 - a counter has no event
        await asyncio.sleep(0)


async def test_waiting_streams_hear_from_us(run: Any, engine: Any) -> None:
    """A long wait brings headers and comments, and then the answer as usual."""
    engine.may_start.clear()
    async with run(commit_after_s=0.01, comment_every_s=0.01) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(question(stream=True))
        head = await reader.readuntil(b": waiting\n\n")
        assert b"text/event-stream" in head
        engine.may_start.set()
        rest = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
    assert b"data: [DONE]" in rest


async def test_a_bug_shows_no_traceback(run: Any, engine: Any, capfd: Any) -> None:
    """What we did not foresee is a 500 with an id to quote; only the log knows more."""
    engine.error = ZeroDivisionError("secret detail")
    async with run() as server:
        status, head, body = await exchange(server.port, question(stream=False))
    assert status == 500
    assert b"secret" not in body
    named = json.loads(body)["error"]["message"].rsplit(" ", 1)[1].rstrip(".")
    assert f"x-request-id: {named}".encode() in head


async def test_a_thousand_streams_at_once(run: Any, engine: Any) -> None:
    """A thousand clients wait at the same time, and each is answered."""
    engine.may_go_on.clear()
    engine.crowd = CROWD
    async with run() as server:
        asking = [asyncio.create_task(exchange(server.port, question(stream=True))) for _ in range(CROWD)]
        await engine.full.wait()
        engine.may_go_on.set()
        replies = await asyncio.gather(*asking)
    assert all(status == 200 and b"data: [DONE]" in body for status, _, body in replies)
    assert engine.open == 0


async def test_console_and_metrics_are_served(run: Any) -> None:
    """The page needs nothing from elsewhere, and the counters count what went before."""
    async with run(api_keys={"k": "t"}) as server:
        page = await get(server.port, "/")
        metrics = await get(server.port, "/metrics")
    assert page[0] == 200
    assert b"<!doctype html>" in page[2].lower()
    assert b"https://" not in page[2]
    assert b'rushhour_requests_total{route="/",status="200"} 1.0' in metrics[2]


async def get(port: int, path: str) -> tuple[int, bytes, bytes]:
    """Fetch a path."""
    return await exchange(port, f"GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".encode())
