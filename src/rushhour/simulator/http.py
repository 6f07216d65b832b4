"""The simulator on a socket: aiohttp's low-level server, translated to and from `exchange`."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from rushhour.simulator.exchange import Ending, Reply, Request
from rushhour.simulator.ledger import Connection
from rushhour.simulator.openai_errors import error

_MOST_BYTES = 64 * 1024 * 1024
_LAST_WRITES_S = 0.1
_NO_LINGERING = struct.pack("ii", 1, 0)


class HttpServer(web.Server):
    """Serves HTTP/1.1 connections, counts them, and cancels the service of a client that left."""

    def __init__(self, answer: Callable[[Request], Awaitable[Reply]]) -> None:
        super().__init__(self._respond, request_factory=self._read, handler_cancellation=True, access_log=None)
        self._answer = answer
        self._tracked: dict[RequestHandler, Connection] = {}
        self._at_work: set[asyncio.Task[Any]] = set()
        self.opened = 0
        self.peak = 0

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._tracked)

    def forget_peak(self) -> None:
        """Count opened connections and their peak from now on."""
        self.opened, self.peak = 0, self.open

    async def stop(self) -> None:
        """End every call where it stands, and close every connection."""
        self.pre_shutdown()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        await self.shutdown(timeout=_LAST_WRITES_S)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Note a new connection."""
        super().connection_made(handler, transport)
        self._tracked[handler] = Connection()
        self.opened += 1
        self.peak = max(self.peak, self.open)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Note a closed connection."""
        super().connection_lost(handler, exc)
        connection = self._tracked.pop(handler, None)
        if connection is not None:
            connection.lost()

    def _read(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=_MOST_BYTES)

    async def _respond(self, raw: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in one
        self._at_work.add(task)
        try:
            return await self._serve(raw)
        finally:
            self._at_work.discard(task)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await raw.read()
        except web.HTTPRequestEntityTooLarge:
            return _whole(error(413, f"The body is larger than {_MOST_BYTES} bytes; send less at once."))
        query = {name: raw.query.getall(name) for name in raw.query}
        connection = self._tracked.get(raw.protocol) or Connection()
        reply = await self._answer(Request(raw.method, raw.path, raw.headers, body, query, connection))
        return await self._deliver(raw, reply)

    async def _deliver(self, raw: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        sent, delivered = 0, False
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        try:
            if reply.ending is Ending.RESET:
                _reset(raw.transport)
                return response
            if reply.stream is None:
                response = _whole(reply)
                sent = len(reply.body)
            else:
                await response.prepare(raw)
                async with aclosing(reply.stream) as pieces:
                    async for piece in pieces:
                        await response.write(piece)
                        sent += len(piece)
            await response.prepare(raw)
            await response.write_eof()
            delivered = True
        finally:
            reply.close(delivered=delivered, sent=sent)
        return response


def _whole(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def _reset(transport: asyncio.Transport | None) -> None:
    """Close with a TCP reset: without lingering the kernel sends RST where it would send FIN."""
    if transport is None:
        return
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()
