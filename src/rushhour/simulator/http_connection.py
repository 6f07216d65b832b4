"""One HTTP/1.1 connection: requests in, replies out in their order, and every way in which it may end.

Written on the transport itself: a reset before any header, a missing last chunk or a FIN that crosses a request cannot
be said to a web framework.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs, unquote

import httptools

from rushhour.simulator import http_text, sockets
from rushhour.simulator.exchange import Ending, Reply, Request
from rushhour.simulator.ledger import Connection
from rushhour.simulator.openai_errors import error

_MOST_BYTES = 64 * 1024 * 1024
_MOST_PIPELINED = 16


@dataclass(slots=True)
class _Incoming:
    """A request as it arrives."""

    target: bytes = b""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)
    size: int = 0
    keep_alive: bool = True
    chunked: bool = True

    def request(self, connection: Connection) -> Request:
        """Return it as the surfaces see it."""
        path, _, query = self.target.decode("latin-1").partition("?")
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        parameters = parse_qs(query, keep_blank_values=True) if query else {}
        return Request(self.method, unquote(path), self.headers, body, parameters, connection)


class HttpConnection(asyncio.Protocol):
    """Serves one request after the other; a client that leaves ends the service of its call."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Reply]],
        made: Callable[[HttpConnection], None],
        lost: Callable[[HttpConnection], None],
    ) -> None:
        self._answer = answer
        self._made = made
        self._lost = lost
        self._account = Connection()
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = _Incoming()
        self._waiting: deque[_Incoming] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport

    async def stop(self) -> None:
        """End the call under way, and close."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # ---- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("This simulator speaks HTTP/1.1 and upgrades to nothing else.")
        except httptools.HttpParserError as wrong:
            self._refuse(f"This is not HTTP/1.1: {wrong}.")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is lost either way
        """End the call under way: whoever asked is gone."""
        self._lost(self)
        self._account.lost()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._writable.set()

    def pause_writing(self) -> None:
        """Wait with further pieces: the client reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    # ---- what the parser says

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._incoming = _Incoming()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; of several with one name the last holds."""
        self._incoming.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note what the first lines said."""
        incoming = self._incoming
        incoming.method = self._parser.get_method().decode("latin-1")
        incoming.keep_alive = self._parser.should_keep_alive()
        incoming.chunked = self._parser.get_http_version() != "1.0"
        if incoming.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; of one that is too large, nothing is kept."""
        incoming = self._incoming
        incoming.size += len(body)
        if incoming.size <= _MOST_BYTES:
            incoming.body.append(body)
        else:
            incoming.body.clear()

    def on_message_complete(self) -> None:
        """Serve the request, or let it wait for the one before it."""
        if self._task is not None:
            self._waiting.append(self._incoming)
            if len(self._waiting) >= _MOST_PIPELINED:
                self._transport.pause_reading()
            return
        self._begin(self._incoming)

    # ---- serving

    def _begin(self, incoming: _Incoming) -> None:
        self._task = self._loop.create_task(self._serve(incoming))
        self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        wrong = task.exception()
        if wrong is not None:
            self._transport.abort()
            self._loop.call_exception_handler({"message": "A simulated call failed", "exception": wrong, "task": task})
        elif self._waiting and not self._transport.is_closing():
            self._begin(self._waiting.popleft())
            self._transport.resume_reading()

    async def _serve(self, incoming: _Incoming) -> None:
        if incoming.size > _MOST_BYTES:
            reply = error(413, f"The body is larger than {_MOST_BYTES} bytes; send less at once.")
        else:
            reply = await self._answer(incoming.request(self._account))
        sent, delivered = 0, False
        try:
            if reply.ending is Ending.KEPT and reply.stream is None:
                self._write_whole(incoming, reply)
                sent, delivered = len(reply.body), True
            elif not reply.empty:
                async with aclosing(self._pieces(incoming, reply)) as sizes:
                    async for size in sizes:
                        sent += size
                delivered = reply.ending is Ending.KEPT
        finally:
            reply.close(delivered=delivered, sent=sent)
        if reply.ending is not Ending.KEPT:
            sockets.end(self._transport, reply.ending)
        elif not incoming.keep_alive:
            self._transport.close()
        elif not self._writable.is_set():
            await self._writable.wait()

    def _write_whole(self, incoming: _Incoming, reply: Reply) -> None:
        head = http_text.head(reply, keep_alive=incoming.keep_alive, length=len(reply.body))
        self._transport.write(head if incoming.method == "HEAD" else head + reply.body)

    async def _pieces(self, incoming: _Incoming, reply: Reply) -> AsyncGenerator[int, None]:
        """Write a reply piece by piece, yielding their sizes; without its end where it breaks off."""
        whole = reply.ending is Ending.KEPT
        if reply.stream is None:  # a body that breaks off: the length tells that more should come
            self._transport.write(http_text.head(reply, keep_alive=True, length=len(reply.body) + 1) + reply.body)
            yield len(reply.body)
            return
        if not incoming.chunked:
            incoming.keep_alive = False
        head = http_text.head(reply, keep_alive=incoming.keep_alive, chunked=incoming.chunked)
        self._transport.write(head)
        async with aclosing(reply.stream) as stream:
            async for piece in stream:
                if piece:
                    self._transport.write(http_text.chunk(piece) if incoming.chunked else piece)
                    yield len(piece)
                await self._writable.wait()
        if whole and incoming.chunked:
            self._transport.write(http_text.LAST_CHUNK)

    def _refuse(self, problem: str) -> None:
        """Answer what is no request, and close: nothing after it can be understood."""
        reply = error(400, problem)
        self._transport.write(http_text.head(reply, keep_alive=False, length=len(reply.body)) + reply.body)
        self._transport.close()
