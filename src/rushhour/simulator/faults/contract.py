"""What a fault is: something that happens to a call instead of, around or after its proper service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from rushhour.simulator.exchange import Reply, Visit


class Fault(Protocol):
    """One way to fail. It receives the proper service as an argument and may call it, spoil it or skip it."""

    async def strike(self, visit: Visit, serve: Callable[[Visit], Awaitable[Reply]]) -> Reply:
        """Return what the client gets instead."""
        ...
