"""What a watcher is told of a crowd: each visit of a small one, and of a large one how far it is."""

from __future__ import annotations

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.watching import Watcher

_MOST_SHOWN = 20_000
_PARTS = 20


class Progress:
    """Collects visits, and tells the watcher; one line for each twentieth of a crowd that is too large for a bar."""

    def __init__(self, watcher: Watcher, pipeline: str, users: int) -> None:
        self.seen: list[Visited] = []
        self._watcher = watcher
        self._pipeline = pipeline
        self._users = users
        self._every = 1 if users <= _MOST_SHOWN else users // _PARTS
        if self._every == 1:
            watcher.opens(pipeline, users)

    def visited(self, visit: Visited) -> None:
        """Count a user who is done."""
        self.seen.append(visit)
        if self._every == 1:
            self._watcher.visited(self._pipeline, visit)
        elif len(self.seen) % self._every == 0:
            minute, second = divmod(int(visit.at + visit.done_s), 60)
            self._watcher.step(f"Monday: {len(self.seen):,} of {self._users:,} users done at {minute}:{second:02}")
