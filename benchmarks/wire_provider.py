"""A provider with an exact bucket behind a socket: one line a call, one line a reply.

A call is `<number>`, a reply `<number> <seconds to wait, or 0> <left in the bucket>`. Much less work than HTTP,
so that pacing is what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.provider import TokenBucket
from rushhour.errors import ConnectionLost, Throttled
from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call


@dataclass(slots=True)
class WireProvider:
    """Counts what arrives, by the loop's time."""

    per_minute: float
    depth_s: float
    answer_s: float
    seed: int = 1
    admitted_at: list[float] = field(default_factory=list)
    throttled_at: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve on a free port of this machine while the block runs."""
        bucket, chance = TokenBucket(self.per_minute, self.depth_s), random.Random(self.seed)
        loop = asyncio.get_running_loop()

        def serve(line: bytes, writer: asyncio.StreamWriter) -> None:
            now = loop.time()
            wait = bucket.wait(1, now)
            if wait:
                self.throttled_at.append(now)
            else:
                bucket.take(1, now)
                self.admitted_at.append(now)
            reply = b"%s %.6f %d\n" % (line.strip(), wait, max(0, math.floor(bucket.remaining(now))))
            takes = 0.0 if wait else self.answer_s * chance.lognormvariate(0.0, 0.3)
            loop.call_later(takes, _reply, writer, reply)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):  # a replica that is stopped hangs up in the middle
                while line := await reader.readline():
                    serve(line, writer)
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    def largest_burst(self) -> float:
        """Return the most calls that ever arrived above the limit's steady flow: the bucket it would have taken."""
        level, at, most = 0.0, 0.0, 0.0
        for arrived in sorted(self.admitted_at + self.throttled_at):
            level = max(0.0, level - (arrived - at) * self.per_minute / 60) + 1
            at, most = arrived, max(most, level)
        return most


def _reply(writer: asyncio.StreamWriter, reply: bytes) -> None:
    if not writer.is_closing():
        writer.write(reply)


class WireClient:
    """The hop to a `WireProvider`; one connection carries all calls."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, per_minute: float) -> None:
        self._reader = reader
        self._writer = writer
        self._per_minute = per_minute
        self._number = 0
        self._open: dict[int, asyncio.Future[tuple[float, int]]] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls, port: int, per_minute: float) -> AsyncIterator[WireClient]:
        """Connect, and read replies while the block runs."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port), per_minute)
        reading = asyncio.create_task(client._read())
        try:
            yield client
        finally:
            reading.cancel()
            client._writer.close()
            await asyncio.wait([reading])

    async def __call__(self, request: object, call: Call) -> object:
        """Send one call and wait for its reply."""
        self._number += 1
        number = self._number
        reply = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(b"%d\n" % number)
            wait, left = await reply
        finally:
            del self._open[number]
        call.emit(LimitsSeen(call.hop, LimitHeaders(Allowance(self._per_minute, float(left)))))
        if wait:
            raise Throttled("Rate limit reached.", retry_after=wait)
        return request

    async def _read(self) -> None:
        while line := await self._reader.readline():
            number, wait, left = line.split()
            reply = self._open.get(int(number))
            if reply is not None and not reply.done():
                reply.set_result((float(wait), int(left)))
        for reply in self._open.values():
            if not reply.done():
                reply.set_exception(ConnectionLost("The provider closed the connection."))
