"""What a rehearsal tells whoever watches it, as it goes on."""

from __future__ import annotations

from typing import Protocol

from rushhour.rehearse.crowd import Visited


class Watcher(Protocol):
    """Someone who wants to see progress; every method returns at once."""

    def step(self, text: str) -> None:
        """Begin a step of the preparation."""

    def opens(self, pipeline: str, users: int) -> None:
        """Begin one pipeline's Monday."""

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Count a user who is done."""
