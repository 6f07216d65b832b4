"""The embedded vector store: rows in one SQLite file, an exact scan in memory, nothing to start.

Exact means recall 1.0; the price is a scan of everything, which one matrix product shares between all the queries
that wait at that moment. Meant for up to about 100,000 vectors a namespace.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from rushhour.errors import Rejected
from rushhour.flow.call import Call, Event
from rushhour.hops import embedded_rows as rows
from rushhour.hops.contract import Delete, Match, NamespaceStats, Upsert, Vector, VectorQuery
from rushhour.hops.embedded_matrix import Matrix, Rows
from rushhour.hops.metadata_filter import metadata_test
from rushhour.sqlite import SqliteFile

AT_ONCE: Final = 64
"""Queries of one matrix product: enough to share the scan, few enough for the scores to stay small."""

Answer: TypeAlias = list[Match] | Rejected


class Scanned(Event, frozen=True):
    """A query was answered: how many shared its scan, over how many records."""

    together: int
    records: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    query: VectorQuery
    call: Call
    reply: asyncio.Future[list[Match]]


@dataclass(slots=True)
class _Loaded:
    key: int
    generation: int
    matrix: Matrix


class EmbeddedVectors:
    """`VectorStore` on SQLite and NumPy; open it with `EmbeddedVectors.open`, close it with `aclose`.

    Several processes may use the file; what one wrote, the others find with their next query. Raises Rejected for
    vectors that do not fit, Unavailable if the disk fails.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._loaded: dict[str, _Loaded] = {}  # touched by the one reading thread only
        self._waiting: list[_Waiting] = []
        self._scanner: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> EmbeddedVectors:
        """Open or create the store at `path`; raises SettingsError if it cannot be, or is too new."""
        return cls(await SqliteFile.open(path, rows.SCHEMA, readers=1))

    async def upsert(self, request: Upsert, call: Call) -> int:  # noqa: ARG002  # a hop's signature
        """Write records in one transaction; return how many were written."""
        if not request.records:
            return 0
        vectors = _unit_rows([record.vector for record in request.records])
        return await self._file.write(rows.write, request.namespace, request.records, vectors)

    async def query(self, request: VectorQuery, call: Call) -> list[Match]:
        """Return the nearest records by cosine, best first; an unknown namespace holds none."""
        if request.top_k < 1:
            raise Rejected(f"top_k is {request.top_k}; ask for at least 1 record.")
        waiting = _Waiting(request, call, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._scanner is None:
            self._scanner = asyncio.create_task(self._scan(), name="embedded-vectors-scan")
        return await waiting.reply

    async def delete(self, request: Delete, call: Call) -> None:  # noqa: ARG002  # a hop's signature
        """Delete ids, or the whole namespace; unknown ids are no error."""
        if request.ids is None:
            await self._file.write(rows.delete_all, request.namespace)
        elif request.ids:
            await self._file.write(rows.delete, request.namespace, request.ids)

    async def stats(self, request: str, call: Call) -> NamespaceStats:  # noqa: ARG002  # a hop's signature
        """Count one namespace."""
        return NamespaceStats(request, await self._file.read(rows.count, request))

    async def aclose(self) -> None:
        """Answer the queries that wait, and release the file."""
        if self._scanner is not None:
            await asyncio.wait([self._scanner])
        await self._file.aclose()

    async def _scan(self) -> None:
        """Answer all that wait, as many at a time as one product takes; newcomers gather meanwhile."""
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                batch = [waiting for waiting in taken if not waiting.reply.done()]  # the others were cancelled
                if batch:
                    queries = [waiting.query for waiting in batch]
                    answering = asyncio.ensure_future(self._file.read(self._answer, queries))
                    await asyncio.wait([answering])
                    _hand_out(batch, answering)
        finally:
            self._scanner = None

    def _answer(self, connection: sqlite3.Connection, queries: Sequence[VectorQuery]) -> list[tuple[Answer, Scanned]]:
        by_namespace: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            by_namespace.setdefault(query.namespace, []).append(place)
        answers: dict[int, tuple[Answer, Scanned]] = {}
        for name, places in by_namespace.items():
            matrix = self._current(connection, name)
            scanned = Scanned("", together=len(places), records=len(matrix) if matrix else 0)
            found = _nearest(name, matrix, [queries[place] for place in places])
            answers.update((place, (answer, scanned)) for place, answer in zip(places, found, strict=True))
        return [answers[place] for place in range(len(queries))]

    def _current(self, connection: sqlite3.Connection, name: str) -> Matrix | None:
        """Bring a namespace's matrix up to what the file holds now."""
        now = rows.find(connection, name)
        if now is None:
            self._loaded.pop(name, None)
            return None
        loaded = self._loaded.get(name)
        if loaded is None or loaded.key != now.key or loaded.generation < now.pruned:
            loaded = self._loaded[name] = _Loaded(now.key, -1, Matrix(now.dimensions, rows.count(connection, name)))
        if loaded.generation < now.generation:
            loaded.matrix.drop(rows.deleted_since(connection, now, loaded.generation))
            for ids, vectors, metadata in rows.changed_since(connection, now, loaded.generation):
                loaded.matrix.put(ids, vectors, metadata)
            loaded.generation = now.generation
        return loaded.matrix


def _hand_out(batch: Sequence[_Waiting], answering: asyncio.Future[list[tuple[Answer, Scanned]]]) -> None:
    if (error := answering.exception()) is not None:
        for waiting in batch:
            if not waiting.reply.done():
                waiting.reply.set_exception(error)
        return
    for waiting, (answer, scanned) in zip(batch, answering.result(), strict=True):
        if waiting.reply.done():
            continue
        if isinstance(answer, Rejected):
            waiting.reply.set_exception(answer)
        else:
            waiting.call.emit(Scanned(waiting.call.hop, scanned.together, scanned.records))
            waiting.reply.set_result(answer)


def _nearest(name: str, matrix: Matrix | None, queries: Sequence[VectorQuery]) -> list[Answer]:
    """Answer the queries of one namespace with one product; one that does not fit is rejected alone."""
    answers: list[Answer] = [[] for _ in queries]
    fitting: dict[int, Rows] = {}
    if matrix is None or not len(matrix):
        return answers
    for place, query in enumerate(queries):
        try:
            fitting[place] = _fitting(name, matrix, query)
        except Rejected as cause:
            answers[place] = cause
    if fitting:
        chosen = [queries[place] for place in fitting]
        found = matrix.nearest(
            np.concatenate(list(fitting.values())),
            [query.top_k for query in chosen],
            [query.filter for query in chosen],
        )
        for place, matches in zip(fitting, found, strict=True):
            answers[place] = matches
    return answers


def _fitting(name: str, matrix: Matrix, query: VectorQuery) -> Rows:
    """Return the query's vector as a row that fits the matrix; raises Rejected."""
    rows.check_dimensions(name, matrix.dimensions, query.vector.size)
    metadata_test(query.filter or {})
    return _unit_rows([query.vector])


def _unit_rows(vectors: Sequence[Vector]) -> Rows:
    """Stack vectors as rows of unit length; raises Rejected if one has no direction or another size."""
    sizes = {vector.size for vector in vectors}
    if len(sizes) > 1:
        raise Rejected(f"The vectors of one upsert have {sorted(sizes)} dimensions; they must all have the same.")
    stacked = np.stack(vectors).astype(np.float32, copy=False)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise Rejected("A vector holds only zeros, or NaN or infinity: it has no direction to compare by.")
    if np.abs(lengths - 1).max() < 1e-4:
        return stacked
    unit: Rows = stacked / lengths
    return unit
