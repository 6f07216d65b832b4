"""`kill -9` at random moments of a real ingestion: nothing lost, nothing doubled, nothing paid for twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushhour.catalog.contract import Chunk
from rushhour.catalog.kept_vectors import KeptVectors
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.flow.call import Call
from rushhour.hops.contract import VectorQuery
from rushhour.hops.embedded_vectors import EmbeddedVectors
from rushhour.rag.chunking.chunk import Chunking, chunk, identified
from rushhour.rag.parse import parse
from rushhour.simulator import Simulator, build_profile
from rushhour.simulator.exchange import Reply, Request

CONCURRENCY = 4
INPUTS_A_CALL = 8
ON_THE_WAY = CONCURRENCY * INPUTS_A_CALL
"""Texts that can be on their way to a process, or to its disk: as many as its calls in flight carry."""
DIMENSIONS = 32
SIZES = Chunking(60, 10)
DRIVER = """
import asyncio, json, sys
from rushhour import settings
from rushhour.assemble import assemble
from rushhour.flow.call import Call
from rushhour.rag.documents.asked import Asked

async def main():
    async with assemble(settings.load()) as system:
        print("began", flush=True)
        summary = await system.jobs.ingest("docs", Asked((sys.argv[1],)), Call("shell"))
        assert summary.complete, summary
        print(json.dumps({"job": summary.job, "resumed": summary.resumed}), flush=True)

asyncio.run(main())
"""


class Recording(Simulator):
    """Simulated providers that remember who had what embedded, call by call; a client's key is its name."""

    bought: list[tuple[str, tuple[str, ...]]]

    async def handle(self, request: Request) -> Reply:
        """Note the call before it is served: it is paid for whether or not somebody is left to hear the answer."""
        if request.path.endswith("/embeddings"):
            key = request.headers["authorization"].removeprefix("Bearer ")
            self.bought.append((key, tuple(json.loads(request.body)["input"])))
        return await super().handle(request)


@dataclass
class Library:
    """A folder of documents that are written, changed, renamed and deleted, and every version that each has had."""

    folder: Path
    rng: random.Random
    versions: dict[str, list[bytes]] = field(default_factory=dict)
    written: int = 0

    def fill(self, files: int) -> None:
        """Write documents."""
        for n in range(files):
            self.write(f"{'deep/' if n % 5 == 0 else ''}{n}.md", self.text())

    def text(self) -> bytes:
        """Make up a document; some of its sections are in others too."""
        self.written += 1
        sections = [f"# Report {self.written}\n"]
        for _ in range(self.rng.randint(1, 9)):
            subject = self.rng.choice([f"matter {self.rng.randint(0, 10**6)}"] * 3 + ["the common matter"])
            sections.append(f"## On {subject}\n\n" + " ".join(f"About {subject} we say {n}." for n in range(24)))
        return "\n\n".join(sections).encode()

    def write(self, name: str, content: bytes) -> None:
        """Write a version of a document."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.versions.setdefault(name, []).append(content)

    def change(self) -> None:
        """Change, add, delete and rename a few."""
        names = self.names()
        for name in self.rng.sample(names, 6):
            parts = (self.folder / name).read_bytes().split(b"\n\n## ")
            parts[self.rng.randrange(len(parts))] = self.text().split(b"\n\n## ")[-1]
            self.write(name, b"\n\n## ".join(parts))
        for _ in range(3):
            self.write(f"more-{self.written}.md", self.text())
        gone, renamed = self.rng.sample(names, 2)
        (self.folder / gone).unlink()
        content = (self.folder / renamed).read_bytes()
        (self.folder / renamed).unlink()
        self.write(f"was-{self.written}-{Path(renamed).name}", content)

    def names(self) -> list[str]:
        """Return the documents there are now."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.md"))


def chunks_of(name: str, content: bytes) -> dict[str, Chunk]:
    """Return the chunks of a version, as an undisturbed ingestion makes them."""
    document = parse(name, content)
    made = identified("docs", name, document.title, name, chunk(document, SIZES))
    return {one.id: one for one in made}


@dataclass
class Ingestions:
    """Real processes that ingest a folder into one data directory, each with a key of its own."""

    url: str
    data: Path
    library: Library
    runs: int = 0

    async def run(self, kill_after: float | None = None) -> bool:
        """Ingest, and be killed some seconds after the start if it takes that long; return whether it was."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            DRIVER,
            str(self.library.folder),
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.runs += 1
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            await process.stdout.readline()
            try:
                async with asyncio.timeout(kill_after):
                    _, said = await process.communicate()
            except TimeoutError:
                with suppress(ProcessLookupError):  # it may have ended at this very moment
                    process.kill()
                _, said = await process.communicate()
            killed = process.returncode == -signal.SIGKILL
            assert killed or process.returncode == 0, said.decode()
            return killed
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RUSHHOUR_")}
        return {
            **clean,
            "RUSHHOUR_DATA_DIR": str(self.data),
            "RUSHHOUR_EMBED__PROVIDER": "openai",
            "RUSHHOUR_EMBED__BASE_URL": f"{self.url}/v1",
            "RUSHHOUR_EMBED__MODEL": "embedding-model",
            "RUSHHOUR_EMBED__API_KEY": f"run-{self.runs}",
            "RUSHHOUR_EMBED__CONCURRENCY": str(CONCURRENCY),
            "RUSHHOUR_EMBED__MAX_INPUTS": str(INPUTS_A_CALL),
            "RUSHHOUR_EMBED__SPACING_S": "0",
            "RUSHHOUR_CHUNKS__TOKENS": str(SIZES.size),
            "RUSHHOUR_CHUNKS__OVERLAP": str(SIZES.overlap),
        }


@dataclass
class Books:
    """What is on disk in a data directory, seen from another process."""

    catalog: SqliteCatalog
    vectors: EmbeddedVectors
    kept: KeptVectors

    @classmethod
    @asynccontextmanager
    async def open(cls, data: Path) -> AsyncIterator[Books]:
        """Open all of it."""
        async with AsyncExitStack() as closing:
            catalog = await SqliteCatalog.open(data / "catalog.sqlite3")
            closing.push_async_callback(catalog.aclose)
            vectors = await EmbeddedVectors.open(data / "vectors.sqlite3")
            closing.push_async_callback(vectors.aclose)
            kept = await KeptVectors.open(data / "embeddings.sqlite3")
            closing.push_async_callback(kept.aclose)
            yield cls(catalog, vectors, kept)

    async def visible(self) -> dict[str, dict[str, Chunk]]:
        """Return the visible files with their chunks; none before the collection is made."""
        if not await self.catalog.collections():
            return {}
        found = {}
        for file in await self.catalog.files("docs"):
            ids = await self.catalog.chunk_ids("docs", file.name)
            found[file.name] = await self.catalog.chunks("docs", sorted(ids))
        return found

    async def stored(self) -> set[str]:
        """Return the ids of all vectors there are."""
        anywhere = np.ones(DIMENSIONS, np.float32)
        return {match.id for match in await self.vectors.query(VectorQuery("docs", anywhere, 10**6), Call())}


async def check_between(books: Books, library: Library) -> None:
    """Every visible file is wholly one of its versions, and every visible chunk has its vector."""
    visible = await books.visible()
    for name, chunks in visible.items():
        assert any(chunks == chunks_of(name, content) for content in library.versions[name]), name
        file = await books.catalog.file("docs", name)
        assert file is not None
        assert file.content in {sha256(content).hexdigest() for content in library.versions[name]}
    assert {one for chunks in visible.values() for one in chunks} <= await books.stored()


async def check_end(books: Books, undisturbed: Books, library: Library) -> None:
    """All is there once, as if nothing had happened, and nothing else is."""
    visible = await books.visible()
    assert visible == {name: chunks_of(name, library.versions[name][-1]) for name in library.names()}
    assert visible == await undisturbed.visible()
    ids = {one for chunks in visible.values() for one in chunks}
    assert await books.stored() == ids == await undisturbed.stored()
    assert await books.catalog.garbage("docs") == {}
    words = {match.id for match in await books.catalog.lexical("docs", "common matter report", 10**6)}
    assert words == {match.id for match in await undisturbed.catalog.lexical("docs", "common matter report", 10**6)}
    probe = VectorQuery("docs", np.eye(DIMENSIONS, dtype=np.float32)[0], 10**6)
    one, other = [
        {match.id: match.score for match in await seen.vectors.query(probe, Call()) if "/was-" not in match.id}
        for seen in (books, undisturbed)
    ]
    assert one == other  # but for renamed files, whose vectors may be of their old name


def bought_twice(bought: list[tuple[str, tuple[str, ...]]]) -> Counter[str]:
    """Count, by the process that had paid for them, the texts that were bought again later.

    Within one process no text may be bought twice.
    """
    lost: Counter[str] = Counter()
    last = {text: n for n, (_, texts) in enumerate(bought) for text in texts}
    for n, (run, texts) in enumerate(bought):
        again = [text for text in texts if last[text] != n]
        assert all(bought[last[text]][0] != run for text in again), f"{run} bought a text twice"
        lost[run] += len(again)
    return +lost


async def play(folder: Path, kills: int, files: int, seed: int) -> dict[str, Any]:
    """Kill as many ingestions, let the last one end, and check; return what it took."""
    rng = random.Random(seed)
    library = Library(folder / "docs", rng)
    library.fill(files)
    latency = {"median_s": 0.03, "sigma": 0.5, "slow_share": 0.0}
    generous = {"rpm": 10**6, "tpm": 10**9, "dimensions": DIMENSIONS, "latency": latency}
    keys = [f"run-{n}" for n in range(10 * kills + 10)]
    simulator = Recording(build_profile({"keys": keys, "embeddings": generous}), seed=seed)
    simulator.bought = []
    async with simulator:
        ingestions = Ingestions(simulator.url, folder / "data", library)
        killed = 0
        async with Books.open(folder / "data") as books:
            while killed < kills:
                done = not await ingestions.run(kill_after=rng.uniform(0, 0.7))
                killed += not done
                await check_between(books, library)
                if done or rng.random() < 0.1:
                    library.change()
            assert not await ingestions.run()
            bought = list(simulator.bought)
            again = Ingestions(simulator.url, folder / "undisturbed", library, runs=ingestions.runs)
            assert not await again.run()
            async with Books.open(folder / "undisturbed") as undisturbed:
                await check_end(books, undisturbed, library)
        jobs = await _jobs(folder / "data")
    lost = bought_twice(bought)
    return {"killed": killed, "runs": ingestions.runs, "calls": len(bought), "lost": lost, "jobs": jobs}


async def _jobs(data: Path) -> list[str]:
    async with Books.open(data) as books:
        return [job.state for job in await books.catalog.jobs()]


async def test_killed_three_times(tmp_path: Path) -> None:
    """The same as below in small."""
    told = await play(tmp_path, kills=3, files=12, seed=1)

    assert told["killed"] == 3
    assert max(told["lost"].values(), default=0) <= ON_THE_WAY
    assert set(told["jobs"]) == {"done"}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_fifty_times(tmp_path: Path) -> None:
    """Of a process that is killed no more is bought again than what was on its way to it, or to its disk."""
    told = await play(tmp_path, kills=50, files=60, seed=7)

    assert told["killed"] == 50
    assert max(told["lost"].values(), default=0) <= ON_THE_WAY
    assert set(told["jobs"]) == {"done"}
