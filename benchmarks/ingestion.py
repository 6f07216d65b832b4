"""What an ingestion adds to embedding: time beside the embedder alone, and memory as documents become more.

The same chunks are embedded in turns by the local embedder alone and by whole ingestions, which read, parse, cut,
compare, embed, write vectors and publish. Speed is the embedder's time over the ingestion's, the median of several
rounds; beside it the same for CPU time, which other work on the machine disturbs less.

Memory is the peak of a process of its own for each number of documents, with an embedder that costs nothing, so that
only the pipeline is seen (on Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.children import module, running
from benchmarks.defaults import default_settings
from benchmarks.report import Cell, Column, Report, arguments
from benchmarks.synthetic_documents import write_documents
from rushhour.assemble import assemble, compose
from rushhour.assemble.chat import CHATS
from rushhour.assemble.ground import Ground
from rushhour.assemble.vectors import STORES
from rushhour.catalog.contract import Catalog
from rushhour.catalog.kept_vectors import KeptVectors
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.flow.call import Call, ignore
from rushhour.hops.contract import Text, Vector
from rushhour.hops.local_embed import LocalEmbed
from rushhour.rag.chunking.chunk import embedding_text
from rushhour.rag.documents.asked import Asked
from rushhour.rag.ingestion.ingest_report import Summary

COLLECTION = "benchmark"
SPEED = 0.9
GROWTH = 1.1
PATIENCE_S = 1800.0

TIMES = (
    Column("round", "round"),
    Column("chunks", "chunks", ",d"),
    Column("embedder alone, s", "alone_s", ".2f"),
    Column("ingestion, s", "ingestion_s", ".2f"),
    Column("speed", "speed", ".3f"),
    Column("CPU alone, s", "alone_cpu_s", ".2f"),
    Column("CPU of the ingestion, s", "ingestion_cpu_s", ".2f"),
    Column("speed by CPU", "cpu_speed", ".3f"),
)
MEMORY = (
    Column("documents", "documents", ",d"),
    Column("chunks", "chunks", ",d"),
    Column("before, MB", "before_mb", ",.0f"),
    Column("peak, MB", "peak_mb", ",.0f"),
    Column("documents a second", "per_s", ",.0f"),
)


class Spent(msgspec.Struct):
    """Seconds of the clock and of CPU."""

    clock: float
    cpu: float


class Peak(msgspec.Struct):
    """What one process says of its ingestion; memory in MB."""

    chunks: int
    before: float
    peak: float
    seconds: float


class Nothing:
    """An embedder that costs nothing: random unit vectors."""

    model = "nothing"
    max_inputs = 256
    max_tokens = 256 * 512

    def __init__(self) -> None:
        self._chance = np.random.default_rng(1)

    async def __call__(self, request: Sequence[Text], call: Call) -> list[Vector]:  # noqa: ARG002  # a hop's signature
        """Return a vector a text."""
        rows = self._chance.standard_normal((len(request), 384)).astype(np.float32)
        return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def main() -> None:
    """Run both parts, or, in a process of its own, one ingestion whose memory is watched."""
    parser = arguments(__doc__)
    parser.add_argument("--speed-documents", type=int, default=150, help="documents of a round; 0 leaves speed out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, nargs="*", default=[1000, 5000, 20_000], help="sizes for memory")
    parser.add_argument("--watched", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.watched:
        sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_watched(given.watched))) + b"\n")
        return
    report = Report("ingestion")
    if given.speed_documents:
        asyncio.run(_speed(report, given.speed_documents, given.rounds))
    if given.documents:
        asyncio.run(_memory(report, given.documents))
    report.finish(given.json)


async def _speed(report: Report, count: int, rounds: int) -> None:
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        docs = write_documents(Path(folder) / "docs", count)
        embedder = LocalEmbed()
        try:
            texts, _ = await _ingested(docs, Path(folder) / "warm")
            await embedder(texts[:50], Call())
            for number in range(rounds):
                alone = await _embedded(embedder, texts)
                _, whole = await _ingested(docs, Path(folder) / f"data-{number}")
                times = (alone.clock, whole.clock, alone.clock / whole.clock)
                cpu = (alone.cpu, whole.cpu, alone.cpu / whole.cpu)
                rows.append([f"{number + 1}", len(texts), *times, *cpu])
        finally:
            await embedder.aclose()
    report.table(f"{count} documents, the local embedder", TIMES, rows)
    speeds = [float(row[4] or 0) for row in rows]
    report.at_least("speed of the ingestion over the embedder's", statistics.median(speeds), SPEED, ".2f", clock=True)


async def _embedded(embedder: LocalEmbed, texts: Sequence[Text]) -> Spent:
    """Embed the texts by the embedder alone."""
    loop = asyncio.get_running_loop()
    clock, cpu = loop.time(), time.process_time()
    await embedder(texts, Call())
    return Spent(loop.time() - clock, time.process_time() - cpu)


async def _ingested(docs: Path, data: Path) -> tuple[list[Text], Spent]:
    """Ingest a folder into an empty catalog; return the texts that were embedded, and what it took once loaded."""
    loop = asyncio.get_running_loop()
    async with assemble(default_settings(data)) as system:
        await system.embed(Text("The model is loaded before the clock starts."), Call())
        clock, cpu = loop.time(), time.process_time()
        _complete(await system.jobs.ingest(COLLECTION, Asked((str(docs),)), Call("benchmark")))
        spent = Spent(loop.time() - clock, time.process_time() - cpu)
        return await _texts(system.catalog), spent


async def _texts(catalog: Catalog) -> list[Text]:
    texts: list[Text] = []
    after = ""
    while page := await catalog.page(COLLECTION, after):
        texts += [Text(embedding_text(one)) for one in page]
        after = page[-1].id
    return texts


async def _memory(report: Report, sizes: Sequence[int]) -> None:
    peaks = {}
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            await asyncio.to_thread(write_documents, Path(folder) / "docs", count)
            command = module("benchmarks.ingestion", "--watched", folder)
            async with running(f"{count} documents", command) as child:
                peaks[count] = msgspec.convert(await child.said(PATIENCE_S), Peak)
    rows = [[count, one.chunks, one.before, one.peak, count / one.seconds] for count, one in peaks.items()]
    report.table("memory, an embedder that costs nothing", MEMORY, rows)
    if len(peaks) > 1:
        growth = peaks[max(sizes)].peak / peaks[min(sizes)].peak
        what = f"peak with {max(sizes):,} documents over the peak with {min(sizes):,}"
        report.at_most(what, growth, GROWTH, ".2f", clock=True)


async def _watched(folder: Path) -> Peak:
    """Ingest a folder with all of the product but the embedder, and say what that took."""
    loaded = default_settings(folder / "data")
    (folder / "data").mkdir()
    async with AsyncExitStack() as closing:
        catalog = await SqliteCatalog.open(folder / "data" / "catalog.sqlite3")
        closing.push_async_callback(catalog.aclose)
        kept = await KeptVectors.open(folder / "data" / "embeddings.sqlite3")
        closing.push_async_callback(kept.aclose)
        ground = Ground(loaded, closing, ignore)
        store = await STORES[loaded.vectors.provider](ground)
        chat = CHATS[loaded.chat.provider](loaded.chat, ground)
        system = compose(ground, catalog, Nothing(), store, chat, kept=kept)
        before = _peak_mb()
        summary = await system.jobs.ingest(COLLECTION, Asked((str(folder / "docs"),)), Call("benchmark"))
        _complete(summary)
        return Peak(summary.chunks, before, _peak_mb(), summary.seconds)


def _complete(summary: Summary) -> None:
    if not summary.complete:
        raise RuntimeError(f"not all was ingested: {summary.given_up or summary.failed[:3]}")


def _peak_mb() -> float:
    """Return the peak of this process; what `getrusage` says begins with that of its parent."""
    (line,) = (one for one in Path("/proc/self/status").read_text("utf-8").splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
