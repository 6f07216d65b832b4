"""A mean that follows what it measures."""

from __future__ import annotations


class Recent:
    """The mean of recent samples, each weighing less than the one after it (exponentially weighted)."""

    def __init__(self, weight: float = 0.1) -> None:
        self._weight = weight
        self._known = False
        self.value = 0.0

    def add(self, sample: float) -> None:
        """Take a sample in; the first one counts whole."""
        self.value += (sample - self.value) * (self._weight if self._known else 1.0)
        self._known = True
