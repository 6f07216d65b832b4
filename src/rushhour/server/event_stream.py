"""Server-sent events to one client: the headers wait a moment, and silence is filled with comments.

Until the headers are sent, a refusal or failure can still be a proper HTTP status, which is what clients' retries
understand. So they are held back for `commit_after_s`, or until there is something to say. From then on a comment
tells how the queue stands, or at least that we are alive, before a proxy gives up on the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from types import TracebackType

from starlette.types import Send

from rushhour.flow.call import Event
from rushhour.flow.policies.pace import Queued
from rushhour.server.contract import Metrics

EVENT_STREAM = b"text/event-stream; charset=utf-8"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", EVENT_STREAM),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),  # or nginx would collect the answer before passing it on
    ],
}


class EventStream:
    """One response of events; use as `async with EventStream(…) as stream`, and `emit` as the call's sink."""

    def __init__(self, send: Send, metrics: Metrics, commit_after_s: float, comment_every_s: float) -> None:
        self._send = send
        self._metrics = metrics
        self._commit_after = commit_after_s
        self._comment_every = comment_every_s
        self._writing = asyncio.Lock()
        self._started = False
        self._wrote_at = -math.inf
        self._news = b""
        self._told = asyncio.Event()

    def emit(self, event: Event) -> None:
        """Count an event, and tell the client of it if it is about the queue."""
        self._metrics.emit(event)
        if isinstance(event, Queued):
            self._news = b": queued position=%d eta_ms=%d\n\n" % (
                event.position,
                math.ceil(event.eta * 1000),
            )
            self._told.set()

    async def write(self, data: bytes) -> None:
        """Send some events, after the headers."""
        async with self._writing:
            self._wrote_at = asyncio.get_running_loop().time()
            self._news = b""
            await self._start()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Send the last events and end the response."""
        async with self._writing:
            await self._start()
            await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _start(self) -> None:
        if not self._started:
            await self._send(START)
            self._started = True

    async def __aenter__(self) -> EventStream:
        self._comments = asyncio.get_running_loop().create_task(self._break_silence())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._comments.cancel()

    async def _break_silence(self) -> None:
        """Send the headers when the wait gets long, then a comment for each news and each long silence."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._commit_after)
        while True:
            if self._news or loop.time() >= self._wrote_at + self._comment_every:
                await self.write(self._news or b": waiting\n\n")
            self._told.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._wrote_at + self._comment_every):
                    await self._told.wait()
