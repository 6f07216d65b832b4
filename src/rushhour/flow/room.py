"""Permits in flight as the pacer sees them: whoever decides who goes next must know whether there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Room(Protocol):
    """A cap on calls in flight. A pacer reserves before it admits, and the admitted call claims the reservation."""

    def attach(self, freed: Callable[[], None]) -> None:
        """Call `freed()` whenever a permit was returned or the cap has grown."""
        ...

    def free(self) -> bool:
        """Whether one more call may go now."""
        ...

    def reserve(self) -> None:
        """Keep a permit for the call that is about to go; ask `free` first."""
        ...

    def abandon(self) -> None:
        """Return a reservation whose call will not come."""
        ...

    def pace(self) -> float:
        """Seconds between two permits at the recent rate of returns, or 0 where that is not known yet."""
        ...
