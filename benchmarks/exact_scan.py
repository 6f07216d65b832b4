"""The exact scan of the embedded vector store: CPU a query, alone and in a crowd, beside one naive scan a query.

Random unit vectors are written into a real store in a temporary folder, and queried through it: alone, one after the
other, and 64 at once. Beside it, in the same process, the same queries go through what one would write without it: a
matrix product, a sort and the first ten, once a query. CPU is process time, the median of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Column, Report, arguments
from rushhour.flow.call import Call
from rushhour.hops.contract import Record, Upsert, VectorQuery
from rushhour.hops.embedded_vectors import EmbeddedVectors

CROWD = 64
TOP_K = 50
RECALL_K = 10
ROUNDS = 5
NAMESPACE = "scan"
RECORDS_AN_UPSERT = 5000

Rows = NDArray[np.float32]

COLUMNS = (
    Column("vectors", "vectors", ",d"),
    Column("naive, ms a query", "naive_ms", ".3f"),
    Column("alone, ms", "alone_ms", ".3f"),
    Column(f"{CROWD} at once, ms", "crowd_ms", ".3f"),
    Column("alone / naive", "alone_ratio", ".2f"),
    Column("crowd / naive", "crowd_ratio", ".2f"),
    Column("recall@10", "recall", ".4f"),
)


def main() -> None:
    """Run it with the sizes asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--vectors", type=int, nargs="+", default=[1000, 10_000, 100_000], help="sizes of the store")
    parser.add_argument("--dimensions", type=int, default=384)
    given = parser.parse_args()
    report = Report("exact_scan")
    asyncio.run(measure(report, given))
    report.finish(given.json)


async def measure(report: Report, given: argparse.Namespace) -> None:
    """Fill a store of each size, and ask it."""
    rows = [await _measured(count, given.dimensions) for count in given.vectors]
    report.table(f"exact scan, {given.dimensions} dimensions, top {TOP_K}", COLUMNS, rows)
    for count, _naive, _alone, _crowd, alone_ratio, crowd_ratio, recall in rows:
        report.at_least(f"recall@{RECALL_K} at {count:,}", recall, 1.0)
        if count >= 10_000:
            report.at_most(f"CPU of a query in a crowd, by a naive one, at {count:,}", crowd_ratio, 0.5, clock=True)
            report.at_most(f"CPU of a query alone, by a naive one, at {count:,}", alone_ratio, 1.5, clock=True)
    report.note(
        "A query through the store also pays for a task, a future and a thread, some tenths of a millisecond: with a "
        "thousand vectors that is more than the scan."
    )


async def _measured(count: int, dimensions: int) -> tuple[int, float, float, float, float, float, float]:
    rng = np.random.default_rng(count)
    vectors, queries = _unit(rng, count, dimensions), _unit(rng, CROWD, dimensions)
    with tempfile.TemporaryDirectory() as folder:
        store = await EmbeddedVectors.open(Path(folder) / "vectors.sqlite3")
        try:
            await _fill(store, vectors)
            recall = await _recall(store, vectors, queries)
            naive = await _cpu(lambda: _one_by_one_naively(vectors, queries))
            alone = await _cpu(lambda: _one_by_one(store, queries))
            crowd = await _cpu(lambda: _at_once(store, queries))
        finally:
            await store.aclose()
    return count, naive * 1e3, alone * 1e3, crowd * 1e3, alone / naive, crowd / naive, recall


async def _fill(store: EmbeddedVectors, vectors: Rows) -> None:
    for begin in range(0, len(vectors), RECORDS_AN_UPSERT):
        some = vectors[begin : begin + RECORDS_AN_UPSERT]
        records = [Record(str(begin + place), vector, {"file": "f"}) for place, vector in enumerate(some)]
        await store.upsert(Upsert(NAMESPACE, records), Call())


async def _recall(store: EmbeddedVectors, vectors: Rows, queries: Rows) -> float:
    found = await _at_once(store, queries)
    truth = np.argsort(-(vectors.astype(np.float64) @ queries.T.astype(np.float64)), axis=0)[:RECALL_K].T
    hits = [
        len(set(mine[:RECALL_K]) & {str(row) for row in best}) for mine, best in zip(found, truth.tolist(), strict=True)
    ]
    return sum(hits) / (RECALL_K * len(queries))


async def _cpu(ask: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU seconds of one query of the crowd, all threads included."""
    await ask()
    samples = []
    for _ in range(ROUNDS):
        before = time.process_time()
        await ask()
        samples.append((time.process_time() - before) / CROWD)
    return statistics.median(samples)


async def _one_by_one_naively(vectors: Rows, queries: Rows) -> None:
    for query in queries:
        scores = vectors @ query
        np.argsort(-scores)[:TOP_K]


async def _one_by_one(store: EmbeddedVectors, queries: Rows) -> None:
    for query in queries:
        await store.query(VectorQuery(NAMESPACE, query, TOP_K), Call())


async def _at_once(store: EmbeddedVectors, queries: Rows) -> list[list[str]]:
    found = await asyncio.gather(*(store.query(VectorQuery(NAMESPACE, query, TOP_K), Call()) for query in queries))
    return [[match.id for match in matches] for matches in found]


def _unit(rng: np.random.Generator, count: int, dimensions: int) -> Rows:
    rows = rng.standard_normal((count, dimensions), dtype=np.float32)
    unit: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main()
