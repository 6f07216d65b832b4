"""The vectors of one namespace in memory, and the exact nearest of them for many queries at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rushhour.hops.contract import Match
from rushhour.hops.metadata_filter import metadata_test

Rows: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.intp]

_GROUP: Final = 64
_FILTERS_KEPT: Final = 32


class Matrix:
    """Unit vectors by id, dense in memory: an id keeps its row until it or the last row leaves.

    Not for several threads at once. Rows are `dimensions` float32 numbers; a quarter more room than needed is kept.
    """

    def __init__(self, dimensions: int, expected: int = 0) -> None:
        self.dimensions = dimensions
        self._rows = np.empty((0, dimensions), np.float32)
        self._ids: list[str] = []
        self._metadata: list[Mapping[str, Any]] = []
        self._row_of: dict[str, int] = {}
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._make_room(expected)

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, ids: Sequence[str], vectors: Rows, metadata: Sequence[Mapping[str, Any]]) -> None:
        """Write records; an id that is there already is overwritten in its place."""
        self._masks.clear()
        self._make_room(len(self) + len(ids))
        for name, vector, about in zip(ids, vectors, metadata, strict=True):
            row = self._row_of.setdefault(name, len(self._ids))
            if row == len(self._ids):
                self._ids.append(name)
                self._metadata.append(about)
            else:
                self._metadata[row] = about
            self._rows[row] = vector

    def drop(self, ids: Sequence[str]) -> None:
        """Remove records; the last row moves into each gap. Unknown ids are no error."""
        self._masks.clear()
        for name in ids:
            row = self._row_of.pop(name, None)
            if row is None:
                continue
            last, about = self._ids.pop(), self._metadata.pop()
            if row < len(self._ids):
                self._ids[row], self._metadata[row] = last, about
                self._rows[row] = self._rows[len(self._ids)]
                self._row_of[last] = row

    def nearest(
        self, queries: Rows, top_k: Sequence[int], filters: Sequence[Mapping[str, Any] | None]
    ) -> list[list[Match]]:
        """Return for each query its `top_k` records by cosine, best first, from one matrix product.

        `queries` are unit vectors, shape (queries, dimensions).
        """
        scores = self._rows[: len(self)] @ queries.T
        everywhere = narrow(scores, max(top_k))
        return [
            self._best(scores[:, place], top_k[place], self._allowed(chosen, everywhere[place]))
            for place, chosen in enumerate(filters)
        ]

    def _best(self, scores: Rows, top_k: int, candidates: Places) -> list[Match]:
        among = scores[candidates]
        if top_k < among.size:
            kept = np.argpartition(among, among.size - top_k)[among.size - top_k :]
            candidates, among = candidates[kept], among[kept]
        order = np.argsort(-among)
        ids = self._ids
        return [
            Match(ids[row], score) for row, score in zip(candidates[order].tolist(), among[order].tolist(), strict=True)
        ]

    def _allowed(self, chosen: Mapping[str, Any] | None, everywhere: Places) -> Places:
        return np.flatnonzero(self._mask(chosen)) if chosen else everywhere

    def _mask(self, chosen: Mapping[str, Any]) -> NDArray[np.bool_]:
        key = repr(sorted(chosen.items()))
        mask = self._masks.get(key)
        if mask is None:
            test = metadata_test(chosen)
            mask = np.fromiter(map(test, self._metadata), np.bool_, len(self))
            if len(self._masks) == _FILTERS_KEPT:
                del self._masks[next(iter(self._masks))]
            self._masks[key] = mask
        return mask

    def _make_room(self, wanted: int) -> None:
        if wanted > len(self._rows):
            rows = np.empty((wanted + wanted // 4 + _GROUP, self.dimensions), np.float32)
            rows[: len(self)] = self._rows[: len(self)]
            self._rows = rows


def narrow(scores: Rows, top_k: int) -> list[Places]:
    """Return for each column of `scores` (rows, queries) a few rows among which its `top_k` largest are.

    Each of the largest lies in one of the `top_k` groups of largest maximum, or equals one that does; and a maximum
    costs far less than a partition. Short columns are not worth it: then all rows are returned.
    """
    count, queries = scores.shape
    group = min(_GROUP, count // (4 * top_k))
    if group < 8:
        return [np.arange(count)] * queries
    groups = count // group
    maxima = scores[: groups * group].reshape(groups, group, queries).max(axis=1)
    chosen = np.argpartition(maxima, groups - top_k, axis=0)[groups - top_k :]
    tail = np.arange(groups * group, count)
    members = np.arange(group)
    return [np.concatenate([(chosen[:, place, None] * group + members).ravel(), tail]) for place in range(queries)]
