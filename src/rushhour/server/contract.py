"""What the server needs from the rooms beside it, so that it imports none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from rushhour.flow.call import Event
from rushhour.rag.contract import Answer

Readiness: TypeAlias = Callable[[], Awaitable[Mapping[str, str]]]
"""Asks every dependency: its name, and what is wrong with it; an empty text means ready."""


class Metrics(Protocol):
    """Where the server counts; `rushhour.telemetry.metrics.Metrics` is one."""

    def emit(self, event: Event) -> None:
        """Count an event of a call."""
        ...

    def request_began(self) -> None:
        """Count an open request."""
        ...

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count a finished request; status 499 means that the client left first."""
        ...

    def answered(self, answer: Answer) -> None:
        """Count an answer that was sent whole."""
        ...

    def stream_broke(self, code: str) -> None:
        """Count a stream that ended with an error after its headers were sent."""
        ...

    def exposition(self) -> tuple[bytes, str]:
        """Return the page for Prometheus, and its content type."""
        ...
