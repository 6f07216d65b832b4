"""The records of one namespace, and when a write becomes visible.

Writes are numbered (LSN). A write is visible to reads `freshness_s` after it was accepted, and to the statistics
`stats_lag_s` later: nobody reads what they just wrote. Times are arguments, in seconds of the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rushhour.simulator.filters import matches

Values: TypeAlias = NDArray[np.float32]
Metric: TypeAlias = Literal["cosine", "dotproduct", "euclidean"]


@dataclass(frozen=True, slots=True)
class Record:
    """A vector, shape (dimension,), with its id and metadata; `size` is what it takes, in bytes."""

    id: str
    values: Values
    metadata: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """A record and its score by the index's metric: for `euclidean` the squared distance, where less is nearer."""

    record: Record
    score: float


class Namespace:
    """Exact search over the visible records."""

    def __init__(self, dimension: int, freshness_s: float, stats_lag_s: float, metric: Metric = "cosine") -> None:
        self._freshness = freshness_s
        self._stats_lag = stats_lag_s
        self._metric = metric
        self._records: list[Record] = []
        self._rows: dict[str, int] = {}
        self._matrix = np.zeros((16, dimension), np.float32)
        self._pending: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._counts: deque[tuple[float, int]] = deque()
        self._told_count = 0
        self._written = 0
        self._indexed = 0
        self._bytes = 0

    def upsert(self, records: Sequence[Record], now: float) -> int:
        """Accept records; return the write's LSN."""
        return self._accept(now, lambda: self._put(records))

    def delete(self, ids: Sequence[str] | None, wanted: Mapping[str, Any] | None, now: float) -> int:
        """Accept a deletion by ids, or by filter, or of everything if both are None; return its LSN."""

        def apply() -> None:
            if ids is None and wanted is None:
                self._records.clear()
                self._rows.clear()
                self._bytes = 0
                return
            for identity in self._named(ids, wanted):
                self._drop(identity)

        return self._accept(now, apply)

    def update(
        self,
        identity: str | None,
        wanted: Mapping[str, Any] | None,
        values: Values | None,
        metadata: Mapping[str, Any],
        now: float,
    ) -> int:
        """Accept new values, and metadata on top of the old, for one id or for what passes a filter; return the LSN.

        An id that does not exist is no error: nothing changes.
        """

        def apply() -> None:
            for one in self._named(None if identity is None else [identity], wanted):
                if one in self._rows:
                    old = self._records[self._rows[one]]
                    merged = {**old.metadata, **metadata}
                    self._put([replace(old, values=old.values if values is None else values, metadata=merged)])

        return self._accept(now, apply)

    def query(self, values: Values, top_k: int, wanted: Mapping[str, Any] | None, now: float) -> list[Scored]:
        """Return the `top_k` nearest visible records that pass the filter, best first, ties by age."""
        self.catch_up(now)
        rows = self._matrix[: len(self._records)]
        places = np.arange(len(self._records))
        if wanted:
            passed = [place for place, record in enumerate(self._records) if matches(wanted, record.metadata)]
            places = np.array(passed, np.intp)
            rows = rows[places]
        scores = self._scores(rows, values)
        farness = scores if self._metric == "euclidean" else -scores
        if len(scores) > top_k:
            nearest = np.argpartition(farness, top_k - 1)[:top_k]
            scores, farness, places = scores[nearest], farness[nearest], places[nearest]
        order = np.lexsort((places, farness))
        return [Scored(self._records[places[one]], float(scores[one])) for one in order]

    def fetch(self, ids: Iterable[str], now: float) -> list[Record]:
        """Return the visible ones among these ids."""
        self.catch_up(now)
        return [self._records[self._rows[identity]] for identity in ids if identity in self._rows]

    def select(self, wanted: Mapping[str, Any], after: str, limit: int, now: float) -> list[Record]:
        """Return up to `limit` visible records that pass a filter, by id, beginning after one."""
        self.catch_up(now)
        passed = [record for record in self._records if record.id > after and matches(wanted, record.metadata)]
        return sorted(passed, key=lambda record: record.id)[:limit]

    def matched(self, wanted: Mapping[str, Any], now: float) -> int:
        """Return how many visible records pass a filter."""
        self.catch_up(now)
        return sum(matches(wanted, record.metadata) for record in self._records)

    def ids(self, prefix: str, after: str, limit: int, now: float) -> list[str]:
        """Return up to `limit` visible ids with a prefix, in order, beginning after one."""
        self.catch_up(now)
        found = sorted(identity for identity in self._rows if identity.startswith(prefix) and identity > after)
        return found[:limit]

    def count(self, now: float) -> int:
        """Return the number of records as the statistics know it."""
        self.catch_up(now)
        while self._counts and self._counts[0][0] <= now:
            self._told_count = self._counts.popleft()[1]
        return self._told_count

    def size(self, now: float) -> int:
        """Return the bytes of the visible records."""
        self.catch_up(now)
        return self._bytes

    def catch_up(self, now: float) -> int:
        """Apply the writes that are visible by now; return the LSN up to which reads see them."""
        while self._pending and self._pending[0][0] <= now:
            visible, self._indexed, apply = self._pending.popleft()
            apply()
            self._counts.append((visible + self._stats_lag, len(self._records)))
        return self._indexed

    def _accept(self, now: float, apply: Callable[[], None]) -> int:
        self.catch_up(now)
        self._written += 1
        self._pending.append((now + self._freshness, self._written, apply))
        return self._written

    def _scores(self, rows: Values, values: Values) -> Values:
        # not BLAS: on matrices this small its threads cost milliseconds where one core needs a tenth
        if self._metric == "euclidean":
            away = rows - values
            squares: Values = np.einsum("ij,ij->i", away, away)
            return squares
        products: Values = np.einsum("ij,j->i", rows, self._row(values))
        return products

    def _row(self, values: Values) -> Values:
        if self._metric != "cosine":
            return values
        length = float(np.linalg.norm(values))
        return values / np.float32(length) if length else values

    def _named(self, ids: Sequence[str] | None, wanted: Mapping[str, Any] | None) -> list[str]:
        named = list(ids or ())
        if wanted is not None:
            named += [record.id for record in self._records if matches(wanted, record.metadata)]
        return named

    def _put(self, records: Sequence[Record]) -> None:
        for record in records:
            row = self._rows.get(record.id)
            if row is None:
                row = self._rows[record.id] = len(self._records)
                self._records.append(record)
                self._grow()
            else:
                self._bytes -= self._records[row].size
            self._records[row] = record
            self._matrix[row] = self._row(record.values)
            self._bytes += record.size

    def _grow(self) -> None:
        if len(self._records) > len(self._matrix):
            larger = np.zeros((2 * len(self._matrix), self._matrix.shape[1]), np.float32)
            larger[: len(self._matrix)] = self._matrix
            self._matrix = larger

    def _drop(self, identity: str) -> None:
        row = self._rows.pop(identity, None)
        if row is None:
            return
        self._bytes -= self._records[row].size
        last = self._records.pop()
        if last.id != identity:  # the last one moves into the gap, so that rows stay dense
            self._records[row] = last
            self._rows[last.id] = row
            self._matrix[row] = self._matrix[len(self._records)]
