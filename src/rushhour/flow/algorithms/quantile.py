"""A quantile of the latest samples, cheap enough to keep for every call."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque


class RecentQuantile:
    """The `q` quantile of the last `window` samples; None until there are `minimum`.

    They are kept in order, so a sample costs about a microsecond.
    """

    def __init__(self, q: float, window: int = 512, minimum: int = 50) -> None:
        if not 0 < q < 1:
            raise ValueError(f"the quantile is {q!r}; it must be above 0 and below 1")
        self._q = q
        self._window = window
        self._minimum = minimum
        self._samples: deque[float] = deque()
        self._ordered: list[float] = []

    @property
    def value(self) -> float | None:
        """The quantile of what has been taken in."""
        count = len(self._ordered)
        return self._ordered[min(int(self._q * count), count - 1)] if count >= self._minimum else None

    def add(self, sample: float) -> None:
        """Take a sample in, and forget the oldest if there are too many."""
        if len(self._samples) == self._window:
            del self._ordered[bisect_left(self._ordered, self._samples.popleft())]
        self._samples.append(sample)
        insort(self._ordered, sample)
