"""The narrow waist between the adapters and the network: one request, one reply, or one stream of bytes.

Adapters know only this protocol, so a test gives them a script instead of a socket, and the HTTP library can be
replaced in one file (`aiohttp_transport`). Nothing here retries: the retry policy is the one place that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, for messages: its host, and the prefix of the settings that describe it."""

    host: str
    settings: str = ""

    def setting(self, name: str) -> str:
        """Return the full name of one of its settings: `API_KEY` becomes `RUSHHOUR_CHAT__API_KEY`."""
        return f"{self.settings}__{name}" if self.settings else f"the provider's {name} setting"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


class ByteStream(Protocol):
    """A reply whose body is still arriving; whoever holds one closes it."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the bytes that arrived next, b"" at the end; raises ConnectionLost or AttemptTimeout."""
        ...

    async def gather(self, seconds: float) -> None:
        """Leave what arrives in the socket for a while, so that one read takes it together."""
        ...

    async def aclose(self) -> None:
        """Let go: a body read to its end frees the connection for others, any other is aborted."""
        ...


class Transport(Protocol):
    """HTTP to one provider; raises only `rushhour.errors`, and a status of any kind is a reply, not an error."""

    peer: Peer

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Exchange one request for a whole reply within `timeout` seconds."""
        ...

    async def stream(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout: float,
        read_timeout: float,
    ) -> ByteStream:
        """Open a reply: `timeout` seconds until its headers, then `read_timeout` for each read."""
        ...

    async def aclose(self) -> None:
        """Close every connection; later calls raise ConnectionLost."""
        ...


JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json", "accept": "application/json"}
"""What a plain JSON exchange sends beside the provider's own headers."""
