"""The simulator on a socket: HTTP/1.1 as the real providers' edges speak it, translated to and from `exchange`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rushhour.simulator.exchange import Reply, Request
from rushhour.simulator.http_connection import HttpConnection


class HttpServer:
    """Serves connections, counts them, and cancels the service of a client that left. A protocol factory."""

    def __init__(self, answer: Callable[[Request], Awaitable[Reply]]) -> None:
        self._answer = answer
        self._connections: set[HttpConnection] = set()
        self.opened = 0
        self.peak = 0

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return HttpConnection(self._answer, self._made, self._connections.discard)

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def forget_peak(self) -> None:
        """Count opened connections and their peak from now on."""
        self.opened, self.peak = 0, self.open

    async def stop(self) -> None:
        """End every call where it stands, and close every connection."""
        await asyncio.gather(*[connection.stop() for connection in list(self._connections)])

    def _made(self, connection: HttpConnection) -> None:
        self._connections.add(connection)
        self.opened += 1
        self.peak = max(self.peak, self.open)
