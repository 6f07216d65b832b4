"""A reply's body on its way: it arrives while nobody reads, as into a socket, and ends in any way that one can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from rushhour.errors import ConnectionLost
from rushhour.hops.transport import Peer
from rushhour.hops.transport_errors import transport_error
from rushhour.simulator.exchange import Ending, Reply

PACKET_S = 0.04
"""After the first words tokens travel together for so long: a reader that gathers them anyway cannot tell."""
_AT_ONCE = 2


class Arriving:
    """`rushhour.hops.transport.ByteStream` over a simulated reply; `over(reusable)` gives the connection back."""

    def __init__(self, sent: Reply, peer: Peer, read_timeout: float, over: Callable[[bool], None]) -> None:
        self.status = sent.status
        self.headers: Mapping[str, str] = sent.headers
        self._sent = sent
        self._peer = peer
        self._read_timeout = read_timeout
        self._over = over
        self._arrived: list[bytes] = []
        self._size = 0
        self._ended = False
        self._failed: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._carrying = asyncio.get_running_loop().create_task(self._carry())

    async def read(self) -> bytes:
        """Return the bytes that arrived next, b"" at the end; raises ConnectionLost or AttemptTimeout."""
        if not self._arrived and not self._ended:
            await self._wait()
        if self._arrived:
            taken = b"".join(self._arrived)
            self._arrived.clear()
            return taken
        if self._failed is not None:
            raise self._failed
        if self._sent.ending is not Ending.KEPT:
            raise ConnectionLost(f"{self._peer.host} cut its reply off. Nothing to mend if it is rare.")
        return b""

    async def gather(self, seconds: float) -> None:
        """Leave what arrives for a while, so that one read takes it together."""
        if not self._ended:
            await asyncio.sleep(seconds)

    async def whole(self) -> bytes:
        """Read to the end."""
        parts = []
        try:
            while part := await self.read():
                parts.append(part)
        finally:
            await self.aclose()
        return b"".join(parts)

    async def aclose(self) -> None:
        """Let go: a body that arrived to its end frees the connection for others, any other is aborted."""
        if not self._carrying.done():
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)
        if not self._ended:  # it was cancelled before it began
            if self._sent.stream is not None:
                await self._sent.stream.aclose()
            self._end(delivered=False)

    async def _carry(self) -> None:
        """Take the reply from the provider as it sends it."""
        delivered, number, woke = False, 0, -1.0
        clock = asyncio.get_running_loop().time
        try:
            async with aclosing(_pieces(self._sent)) as pieces:
                async for piece in pieces:
                    self._size += len(piece)
                    self._arrived.append(piece)
                    self._wake()
                    number += 1
                    if number > _AT_ONCE and clock() > woke:  # what was due meanwhile is not late again
                        await asyncio.sleep(PACKET_S)
                        woke = clock()
            delivered = self._sent.ending is Ending.KEPT
        except Exception as cause:  # noqa: BLE001  # the simulator's own mistake: whoever reads is told
            self._failed = cause
        finally:
            self._end(delivered=delivered)

    def _end(self, *, delivered: bool) -> None:
        """Tell both ends how it ended."""
        self._ended = True
        self._sent.close(delivered=delivered, sent=self._size)
        self._over(delivered)
        self._wake()

    async def _wait(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._read_timeout):
                await self._reader
        except TimeoutError as cause:
            await self.aclose()
            raise transport_error(cause, self._peer, self._read_timeout) from cause
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


async def _pieces(sent: Reply) -> AsyncGenerator[bytes, None]:
    if sent.stream is None:
        yield sent.body
        return
    async with aclosing(sent.stream) as stream:
        async for piece in stream:
            yield piece
