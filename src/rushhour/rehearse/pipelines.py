"""The pipelines that can be rehearsed, as processes: how each is told where the provider is, filled, and served."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.flow.ledger.contract import MOST
from rushhour.rehearse.processes import Child, leashed, running
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.visits import Visit

COLLECTION = "python-manual"
NAIVE_NAMESPACE = "naive-python-manual"
EMBED_MODEL = "text-embedding-simulated"
CHAT_MODEL = "chat-simulated"
NAIVE_LOOPS = 24
READY_S = 45.0
USUAL = ("naive", "production")

_CHUNK_TOKENS = 250
_OVERLAP_TOKENS = 50
TOP_K = 4
_PREFIX = "RUSHHOUR_"


@dataclass(frozen=True, slots=True)
class Serving:
    """A pipeline that is ready: the base URL, model and key that its users are given, and its process.

    Without a process it is an app of somebody's own. Of that only answers to questions `with_golds` are judged, which
    came with the sentences to quote; it calls the provider with what key it likes; and a tenant's key must have been
    said to be used.
    """

    pipeline: str
    base_url: str
    model: str
    child: Child | None = None
    api_key: str = "crowd"
    with_golds: bool = True
    tenant_keys: Mapping[str, str] | None = None

    @property
    def ledger(self) -> str | None:
        """Its name in the provider's ledger; None where that is not known."""
        return None if self.child is None else self.pipeline

    def addressed(self, visits: Sequence[Visit]) -> Sequence[Visit]:
        """Return the visits as this pipeline gets them."""
        if not self.with_golds:
            visits = [msgspec.structs.replace(visit, gold="") for visit in visits]
        if (keys := self.tenant_keys) is not None:
            visits = [msgspec.structs.replace(visit, key=keys.get(visit.tenant, "")) for visit in visits]
        return visits


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How to run one pipeline; the provider knows it by its name, which is its API key.

    One without `ingest` reads what the naive pipeline filled. `disclosed` are the settings that a reader of the report
    must know to judge the comparison.
    """

    name: str
    model: str
    env: Mapping[str, str]
    serve: tuple[str, ...]
    says_ready: bool
    ingest: tuple[str, ...] = ()
    at_once: int | None = None
    disclosed: Mapping[str, str] | None = None

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[Serving]:
        """Run its server while the block runs, ready for users."""
        port = _free_port()
        argv = leashed(*self.serve, "--port", str(port))
        async with running(f"{self.name} server", argv, self.env, folder) as child:
            if self.says_ready:
                await child.ready_line(READY_S)
            child.drain()
            url = f"http://127.0.0.1:{port}"
            if not self.says_ready:
                await child.answers(f"{url}/readyz", READY_S)
            yield Serving(self.name, f"{url}/v1", self.model, child)

    @asynccontextmanager
    async def ingesting(self, folder: Path) -> AsyncIterator[Child]:
        """Run its ingestion of the manual; the caller waits for its end."""
        async with running(f"{self.name} ingestion", leashed(*self.ingest), self.env, folder) as child:
            yield child


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pipeline is set up: the provider's URL and profile, the environment to start from, a folder."""

    url: str
    environment: Mapping[str, str]
    scenario: Scenario
    profile: Mapping[str, Mapping[str, Any]]
    folder: Path


def naive(site: Site) -> Pipeline:
    """Return the pipeline of the tutorials; it fills and reads the namespace that questions are checked against."""
    return Pipeline(
        name="naive",
        model="anything",
        env=_tutorial(site, "naive"),
        serve=("rushhour.rehearse.naive", "serve"),
        says_ready=True,
        ingest=("rushhour.rehearse.naive", "ingest", "--at-once", str(NAIVE_LOOPS)),
        at_once=NAIVE_LOOPS,
    )


def sdk(site: Site) -> Pipeline:
    """Return the tutorial's pipeline as careful people run it: one shared client with the official SDK's retries."""
    return Pipeline(
        name="sdk",
        model="anything",
        env=_tutorial(site, "sdk"),
        serve=("rushhour.rehearse.sdk", "serve"),
        says_ready=True,
    )


def production(site: Site) -> Pipeline:
    """Return rushhour's own server, pointed at a provider and told the limits that the provider's profile states.

    Chunks, overlap and the number of passages are those of the naive pipeline, so that both send prompts of about
    the same size; and each user's answer is generated, whoever asked the same before. So the comparison is one of flow
    control.
    """
    tenants = site.scenario.tenants
    told: dict[str, object] = {
        "CHUNKS__TOKENS": _CHUNK_TOKENS,
        "CHUNKS__OVERLAP": _OVERLAP_TOKENS,
        "RETRIEVAL__TOP_K": TOP_K,
        "ANSWERS__REUSE": "false",
        "SERVER__DEADLINE_S": site.scenario.patience_s,
        **_told_of(site.profile),
    }
    if weights := {tenant.name: tenant.weight for tenant in tenants if tenant.weight != 1}:
        told["QUEUE__WEIGHTS"] = json.dumps(weights)
    where: dict[str, object] = {
        "DATA_DIR": site.folder / "data",
        "EMBED__PROVIDER": "openai",
        "EMBED__MODEL": EMBED_MODEL,
        "EMBED__BASE_URL": f"{site.url}/v1",
        "EMBED__API_KEY": "production",
        "CHAT__PROVIDER": "openai",
        "CHAT__MODEL": CHAT_MODEL,
        "CHAT__BASE_URL": f"{site.url}/v1",
        "CHAT__API_KEY": "production",
        "VECTORS__PROVIDER": "pinecone",
        "VECTORS__BASE_URL": site.url,
        "VECTORS__API_KEY": "production",
    }
    if tenants:
        where["SERVER__API_KEYS"] = json.dumps({tenant.api_key: tenant.name for tenant in tenants})
    disclosed = {f"{_PREFIX}{name}": str(value) for name, value in told.items()}
    return Pipeline(
        name="production",
        model=COLLECTION,
        env={**site.environment, **disclosed, **{f"{_PREFIX}{name}": str(value) for name, value in where.items()}},
        serve=("rushhour.cli", "serve", "--host", "127.0.0.1"),
        says_ready=False,
        ingest=("rushhour.cli", "ingest", "--python-manual"),
        disclosed=disclosed,
    )


PIPELINES: Mapping[str, Callable[[Site], Pipeline]] = {"naive": naive, "sdk": sdk, "production": production}
"""Every pipeline that can be rehearsed, in the order in which they play."""


def pipelines_of(text: str) -> tuple[str, ...]:
    """Read names separated by commas; returns them in playing order. Raises InvalidRequest, naming those there are."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PIPELINES]
    if unknown or not names:
        told = f"There is no pipeline {', '.join(map(repr, unknown))}" if unknown else "--pipelines names none"
        raise InvalidRequest(f"{told}; choose from: {', '.join(PIPELINES)}.", param="--pipelines")
    return tuple(name for name in PIPELINES if name in names)


def _told_of(profile: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """Return the limits, slots and prices that a profile states, as settings; what nobody counts up to is no limit."""
    limits = {"VECTORS__QPS": profile["vectors"]["query_per_s"]}
    told: dict[str, object] = {"CHAT__PRICE_OUT": profile["chat"]["price_out"]}
    for section, surface in (("EMBED", "embeddings"), ("CHAT", "chat")):
        limits |= {f"{section}__{name.upper()}": profile[surface][name] for name in ("rpm", "tpm")}
        told |= {f"{section}__{name.upper()}": profile[surface][name] for name in ("burst_s", "price_in")}
    if slots := profile["chat"]["latency"]["slots"]:
        told["CHAT__CONCURRENCY"] = slots
    return {name: limit for name, limit in limits.items() if limit < MOST} | told


def _tutorial(site: Site, name: str) -> dict[str, str]:
    return {
        **site.environment,
        "OPENAI_BASE_URL": f"{site.url}/v1",
        "OPENAI_API_KEY": name,
        "PINECONE_HOST": site.url,
        "PINECONE_API_KEY": name,
        "NAIVE_NAMESPACE": NAIVE_NAMESPACE,
        "NAIVE_EMBED_MODEL": EMBED_MODEL,
        "NAIVE_CHAT_MODEL": CHAT_MODEL,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
