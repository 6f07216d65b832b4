"""What a fault is: something that happens to a call instead of, around or after its proper service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from rushhour.simulator.exchange import Reply, Visit

Serve: TypeAlias = Callable[[Visit], Awaitable[Reply]]

ANY: frozenset[str] = frozenset()
"""The surfaces of a fault that may strike every one."""
OPENAI = frozenset({"chat", "embeddings"})
STREAMS = frozenset({"chat"})
VECTORS = frozenset({"vectors"})


class Fault(Protocol):
    """One way to fail. It receives the proper service as an argument and may call it, spoil it or skip it.

    `about` says in a line what the client meets; `surfaces` are the only ones it can strike, or `ANY`.
    """

    about: str
    surfaces: frozenset[str]

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Return what the client gets instead."""
        ...


def missed(visit: Visit, reply: Reply) -> Reply:
    """Return the proper reply of a call that the fault cannot spoil, and note that nothing struck."""
    visit.entry.fault = ""
    return reply
