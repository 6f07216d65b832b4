"""One call and its reply, apart from any HTTP library: what surfaces and faults see.

The socket server translates to and from these (`http.py`); a test or a virtual-time rehearsal calls with them
directly.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from rushhour.simulator.draws import Draw
from rushhour.simulator.ledger import Connection, Entry

_encode = msgspec.json.Encoder().encode


class Request(msgspec.Struct):
    """A call as it arrived; header names are found in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    query: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    connection: Connection = msgspec.field(default_factory=Connection)

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default


class Ending(enum.Enum):
    """How the connection looks to the client after what the reply holds.

    Unless it is kept, the reply is not whole: a body or stream ends before its end, and a reply that has neither has
    not even a status line.
    """

    KEPT = "kept"
    """Open for the next call."""
    RESET = "reset"
    """A TCP reset: ECONNRESET."""
    CLOSED = "closed"
    """An orderly FIN, as from a process that stopped."""
    CLOSED_IDLE = "closed_idle"
    """FIN, then a reset: what a call meets that was sent while the server closed the idle connection."""


class Reply(msgspec.Struct):
    """What goes back: a body, or a stream of pieces, and how the connection ends.

    Whoever carries the reply calls `close` exactly once, however it ends, `delivered` telling whether all of it left.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None
    ending: Ending = Ending.KEPT
    on_close: Callable[[bool, int], None] | None = None

    @property
    def empty(self) -> bool:
        """Tell whether the connection ends before any header."""
        return self.ending is not Ending.KEPT and self.stream is None and not self.body

    def close(self, *, delivered: bool, sent: int) -> None:
        """Tell that the reply is over, after `sent` bytes of its body."""
        if self.on_close is not None:
            self.on_close(delivered, sent)
            self.on_close = None


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Make a JSON reply."""
    return Reply(status, _encode(content), {"content-type": "application/json", **(headers or {})})


class Visit(msgspec.Struct):
    """One call on its way through a surface: its luck, its line in the ledger, and how loaded the provider is.

    `headers` are what the reply carries whatever it says: limits as they stood when the call was admitted.
    `refusal`, set by a fault, is what the quota refuses this call for, whatever the call holds.
    """

    request: Request
    entry: Entry
    draw: Draw
    slowdown: float = 1.0
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    refusal: str = ""


Handler: TypeAlias = Callable[[Visit], Awaitable[Reply]]


class Surface(Protocol):
    """One provider API: a name in the ledger, its routes, its character, and state that a reset clears."""

    name: str
    capacity: int
    faults: Mapping[str, float]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by (method, path)."""
        ...

    def reset(self, *, data: bool) -> None:
        """Fill the buckets again; with `data`, forget what clients stored too."""
        ...
