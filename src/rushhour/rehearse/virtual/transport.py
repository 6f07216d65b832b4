"""HTTP to the simulator without a socket: `rushhour.hops.transport.Transport`, spoken in this process.

What a socket would show is shown here: a delay each way, connections that are kept and reused, bytes that arrive while
nobody reads, and every way in which a connection ends. So the real adapters run unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeAlias

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

    def __init__(self, handle: Handle, headers: Mapping[str, str], prefix: str = "", delay_s: float = DELAY_S) -> None:
        self.peer = Peer("the simulated provider")
        self._handle = handle
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._prefix = prefix
        self._delay_s = delay_s
        self._idle: list[tuple[float, Connection]] = []
        self._closed = False

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Exchange one request for a whole reply within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                connection, sent = await self._exchange(method, path, body, headers)
                if sent.stream is None and sent.ending is Ending.KEPT:
                    whole = sent.body
                    sent.close(delivered=True, sent=len(whole))
                    self._keep(connection)
                else:
                    whole = await self._arriving(connection, sent, timeout).whole()
        except TimeoutError as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return Reply(sent.status, sent.headers, whole)

    async def stream(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float, read_timeout: float
    ) -> Arriving:
        """Open a reply: `timeout` seconds until its headers, then `read_timeout` for each read."""
        try:
            async with asyncio.timeout(timeout):
                connection, sent = await self._exchange(method, path, body, headers)
        except TimeoutError as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return self._arriving(connection, sent, read_timeout)

    async def aclose(self) -> None:
        """Close every connection; later calls raise ConnectionLost."""
        self._closed = True
        for _, connection in self._idle:
            connection.lost()
        self._idle.clear()

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[Connection, Sent]:
        """Send a request and wait until the head of its reply is back."""
        connection = await self._connection()
        request = Request(method, self._prefix + path, {**self._headers, **headers}, body, {}, connection)
        try:
            await asyncio.sleep(self._delay_s)
            sent = await self._handle(request)
        except BaseException:  # who leaves closes the connection
            connection.lost()
            raise
        try:
            await asyncio.sleep(self._delay_s)
        except BaseException:
            _abandon(sent, connection)
            raise
        if sent.empty:
            sent.close(delivered=False, sent=0)
            connection.lost()
            self._lost(sent.ending)
        return connection, sent

    async def _connection(self) -> Connection:
        """Return the connection that was idle last, or a new one, which takes a round trip."""
        if self._closed:
            raise ConnectionLost(f"The connections to {self.peer.host} are closed: rushhour is shutting down.")
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, connection = self._idle.pop()
            if now - since < KEEPALIVE_S:
                return connection
            connection.lost()
        await asyncio.sleep(2 * self._delay_s)
        return Connection()

    def _keep(self, connection: Connection) -> None:
        if self._closed:
            connection.lost()
        else:
            self._idle.append((asyncio.get_running_loop().time(), connection))

    def _arriving(self, connection: Connection, sent: Sent, read_timeout: float) -> Arriving:
        def over(reusable: bool) -> None:
            if reusable:
                self._keep(connection)
            else:
                connection.lost()

        return Arriving(sent, self.peer, read_timeout, over)

    def _lost(self, ending: Ending) -> NoReturn:
        told = "was reset" if ending is Ending.RESET else "was closed"
        raise ConnectionLost(f"The connection to {self.peer.host} {told} before it answered.")


def _abandon(sent: Sent, connection: Connection) -> None:
    sent.close(delivered=False, sent=0)
    connection.lost()
