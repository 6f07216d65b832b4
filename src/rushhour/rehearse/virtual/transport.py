"""HTTP to the simulator without a socket: `rushhour.hops.transport.Transport`, spoken in this process.

What a socket would show is shown here: a delay each way, connections that are kept and reused, bytes that arrive while
nobody reads, and every way in which a connection ends. So the real adapters run unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

from rushhour.errors import ConnectionLost
from rushhour.hops.transport import Peer, Reply
from rushhour.hops.transport_errors import transport_error
from rushhour.rehearse.virtual.arriving import Arriving
from rushhour.simulator.exchange import Ending, Request
from rushhour.simulator.exchange import Reply as Sent
from rushhour.simulator.ledger import Connection

Handle: TypeAlias = Callable[[Request], Awaitable[Sent]]

DELAY_S = 0.0005
"""One way, as within a machine or a rack: what a rehearsal over local sockets has too."""
KEEPALIVE_S = 4.0
"""How long an idle connection is kept, as `aiohttp_transport` does."""


class SimulatedTransport:
    """One client's connections to the simulated providers; `prefix` is what every path is appended to.

    `headers` go with every request (the key among them, names in any case). Raises what `AiohttpTransport` would.
    """

    def __init__(self, handle: Handle, headers: Mapping[str, str], prefix: str = "") -> None:
        self.peer = Peer("the simulated provider")
        self.handle = handle
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._prefix = prefix
        self._idle: list[tuple[float, Connection]] = []
        self._clock = asyncio.get_running_loop().time
        self._closed = False

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Exchange one request for a whole reply within `timeout` seconds."""
        request = self.request(method, path, body, headers)
        try:
            async with asyncio.timeout(timeout):
                sent = await self.exchange(request)
                if sent.stream is None and sent.ending is Ending.KEPT:
                    whole = sent.body
                    sent.close(delivered=True, sent=len(whole))
                    self.over(request.connection, reusable=True)
                else:
                    whole = await self.arriving(request, sent, timeout).whole()
        except TimeoutError as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return Reply(sent.status, sent.headers, whole)

    async def stream(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float, read_timeout: float
    ) -> Arriving:
        """Open a reply: `timeout` seconds until its headers, then `read_timeout` for each read."""
        request = self.request(method, path, body, headers)
        try:
            async with asyncio.timeout(timeout):
                sent = await self.exchange(request)
        except TimeoutError as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return self.arriving(request, sent, read_timeout)

    async def aclose(self) -> None:
        """Close every connection; later calls raise ConnectionLost."""
        self._closed = True
        for _, connection in self._idle:
            connection.lost()
        self._idle.clear()

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Request:
        """Make a request, with the headers that go with every one."""
        return Request(method, self._prefix + path, {**self._headers, **headers}, body)

    async def exchange(self, request: Request) -> Sent:
        """Send a request over a connection, and wait until the head of its reply is back; raises ConnectionLost."""
        request.connection = connection = self.idle_connection() or await _connect()
        try:
            await asyncio.sleep(DELAY_S)
            sent = await self.handle(request)
        except BaseException:  # who leaves closes the connection
            connection.lost()
            raise
        await self._travel_back(request, sent)
        self.begun(sent, connection)
        return sent

    def begun(self, sent: Sent, connection: Connection) -> None:
        """Raise ConnectionLost for a reply that has ended before its head."""
        if sent.empty:
            sent.close(delivered=False, sent=0)
            connection.lost()
            told = "was reset" if sent.ending is Ending.RESET else "was closed"
            raise ConnectionLost(f"The connection to {self.peer.host} {told} before it answered.")

    def arriving(self, request: Request, sent: Sent, read_timeout: float) -> Arriving:
        """Return the body that follows a head; its connection is given back when it is over."""
        return Arriving(sent, self.peer, read_timeout, partial(self._give_back, request.connection))

    def over(self, connection: Connection, *, reusable: bool) -> None:
        """Give a connection back."""
        if self._closed or not reusable:
            connection.lost()
        else:
            self._idle.append((self._clock(), connection))

    def _give_back(self, connection: Connection, reusable: bool) -> None:
        self.over(connection, reusable=reusable)

    def idle_connection(self) -> Connection | None:
        """Return the connection that was idle last, if it is still open; raises ConnectionLost once all are closed."""
        if self._closed:
            raise ConnectionLost(f"The connections to {self.peer.host} are closed: rushhour is shutting down.")
        now = self._clock()
        while self._idle:
            since, connection = self._idle.pop()
            if now - since < KEEPALIVE_S:
                return connection
            connection.lost()
        return None

    async def _travel_back(self, request: Request, sent: Sent) -> None:
        try:
            await asyncio.sleep(DELAY_S)
        except BaseException:
            await self.arriving(request, sent, DELAY_S).aclose()
            raise


async def _connect() -> Connection:
    """Return a new connection, which takes a round trip."""
    await asyncio.sleep(2 * DELAY_S)
    return Connection()
