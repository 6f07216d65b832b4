"""The two pipelines as processes: how each is told where the provider is, filled, and served."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rushhour.rehearse.processes import Child, running
from rushhour.rehearse.scenario import Scenario

COLLECTION = "python-manual"
NAIVE_NAMESPACE = "naive-python-manual"
EMBED_MODEL = "text-embedding-simulated"
CHAT_MODEL = "chat-simulated"
NAIVE_LOOPS = 24
READY_S = 45.0

_CHUNK_TOKENS = 250
_OVERLAP_TOKENS = 50
TOP_K = 4


@dataclass(frozen=True, slots=True)
class Serving:
    """A pipeline that is ready: its process, and the base URL and model that its users are given."""

    pipeline: str
    child: Child
    base_url: str
    model: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How to run one pipeline; the provider knows it by its name, which is its API key."""

    name: str
    model: str
    env: Mapping[str, str]
    ingest: tuple[str, ...]
    serve: tuple[str, ...]
    says_ready: bool
    at_once: int | None = None

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[Serving]:
        """Run its server while the block runs, ready for users."""
        port = _free_port()
        argv = [sys.executable, "-m", *self.serve, "--port", str(port)]
        async with running(f"{self.name} server", argv, self.env, folder) as child:
            if self.says_ready:
                await child.ready_line(READY_S)
            child.drain()
            url = f"http://127.0.0.1:{port}"
            if not self.says_ready:
                await child.answers(f"{url}/readyz", READY_S)
            yield Serving(self.name, child, f"{url}/v1", self.model)

    @asynccontextmanager
    async def ingesting(self, folder: Path) -> AsyncIterator[Child]:
        """Run its ingestion of the manual; the caller waits for its end."""
        argv = [sys.executable, "-m", *self.ingest]
        async with running(f"{self.name} ingestion", argv, self.env, folder) as child:
            yield child


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pipeline is set up: the provider's URL and profile, the environment to start from, a folder."""

    url: str
    environment: Mapping[str, str]
    scenario: Scenario
    profile: Mapping[str, Mapping[str, object]]
    folder: Path


def naive(site: Site) -> Pipeline:
    """Return the pipeline of the tutorials; it fills and reads the namespace that questions are checked against."""
    return Pipeline(
        name="naive",
        model="anything",
        env={
            **site.environment,
            "OPENAI_BASE_URL": f"{site.url}/v1",
            "OPENAI_API_KEY": "naive",
            "PINECONE_HOST": site.url,
            "PINECONE_API_KEY": "naive",
            "NAIVE_NAMESPACE": NAIVE_NAMESPACE,
            "NAIVE_EMBED_MODEL": EMBED_MODEL,
            "NAIVE_CHAT_MODEL": CHAT_MODEL,
        },
        ingest=("rushhour.rehearse.naive", "ingest", "--at-once", str(NAIVE_LOOPS)),
        serve=("rushhour.rehearse.naive", "serve"),
        says_ready=True,
        at_once=NAIVE_LOOPS,
    )


def production(site: Site) -> Pipeline:
    """Return rushhour's own server, pointed at a provider and told the limits that the provider's profile states.

    Chunks, overlap and the number of passages are those of the naive pipeline, so that both send prompts of about
    the same size and the comparison is one of flow control.
    """
    settings = {
        "DATA_DIR": str(site.folder / "data"),
        "EMBED__PROVIDER": "openai",
        "EMBED__MODEL": EMBED_MODEL,
        "CHAT__PROVIDER": "openai",
        "CHAT__MODEL": CHAT_MODEL,
        "VECTORS__PROVIDER": "pinecone",
        "VECTORS__BASE_URL": site.url,
        "VECTORS__API_KEY": "production",
        "VECTORS__QPS": site.profile["vectors"]["query_per_s"],
        "CHUNKS__TOKENS": _CHUNK_TOKENS,
        "CHUNKS__OVERLAP": _OVERLAP_TOKENS,
        "RETRIEVAL__TOP_K": TOP_K,
        "SERVER__DEADLINE_S": site.scenario.patience_s,
    }
    for section, surface in (("EMBED", "embeddings"), ("CHAT", "chat")):
        settings |= {
            f"{section}__BASE_URL": f"{site.url}/v1",
            f"{section}__API_KEY": "production",
            **{
                f"{section}__{name.upper()}": site.profile[surface][name]
                for name in ("rpm", "tpm", "burst_s", "price_in")
            },
        }
    settings["CHAT__PRICE_OUT"] = site.profile["chat"]["price_out"]
    return Pipeline(
        name="production",
        model=COLLECTION,
        env={**site.environment, **{f"RUSHHOUR_{name}": str(value) for name, value in settings.items()}},
        ingest=("rushhour.cli", "ingest", "--python-manual"),
        serve=("rushhour.cli", "serve", "--host", "127.0.0.1"),
        says_ready=False,
    )


PIPELINES: Mapping[str, Callable[[Site], Pipeline]] = {"naive": naive, "production": production}
"""Every pipeline that can be rehearsed, in the order in which they play."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
