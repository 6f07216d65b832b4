"""The product's own systems for a rehearsal, set as in the real one; replicas share one ledger."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rushhour.assemble import System, compose
from rushhour.assemble.ground import Ground
from rushhour.catalog.contract import Catalog
from rushhour.flow.call import ignore
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.hops.contract import Chat
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.hops.openai_embed import OpenAIEmbed
from rushhour.hops.pinecone import PineconeStore, pinecone_headers
from rushhour.rehearse.pipelines import Pipeline
from rushhour.rehearse.virtual.direct import DirectChat
from rushhour.rehearse.virtual.ledger_server import LedgerServer
from rushhour.rehearse.virtual.transport import Handle, SimulatedTransport
from rushhour.settings import JSON_VARIABLES, PREFIX, Settings

CLIENT = "production"
"""Who calls, in the simulator's ledger."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all replicas have in common: `seed` decides every lot that they draw, `direct` spares them the wire."""

    settings: Settings
    handle: Handle
    catalog: Catalog
    seed: int
    direct: bool = False


def settings_of_pipeline(pipeline: Pipeline) -> Settings:
    """Read the settings from what its process would be given; nothing of this process's own environment counts."""
    given: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for name, text in pipeline.env.items():
        if not name.startswith(PREFIX):
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        value = json.loads(text) if name in JSON_VARIABLES else text
        if key:
            given.setdefault(section, {})[key] = value
        else:
            top[section] = value
    sections: dict[str, Any] = {}
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            sections[section] = kind(**given.get(section, {}))
    return Settings.model_construct(data_dir=Path(top["data_dir"]), **sections)


async def open_systems(site: Site, replicas: int, closing: AsyncExitStack, name: str = "replica") -> Sequence[System]:
    """Open as many replicas; more than one share their limits and caches as over Redis."""
    server = LedgerServer() if replicas > 1 else None
    systems: list[System] = []
    for number in range(replicas):
        seed = f"{site.seed}-{name}-{number}"
        ledger = await _ledger(server, f"{name}-{number}", replicas, seed, closing) if server else None
        systems.append(_system(site, Ground(site.settings, closing, ignore, ledger, _lots(seed))))
    return systems


def _system(site: Site, ground: Ground) -> System:
    settings, handle = site.settings, site.handle
    bearer = {"authorization": f"Bearer {CLIENT}"}
    embedding = SimulatedTransport(handle, bearer, "/v1")
    storing = SimulatedTransport(handle, pinecone_headers(CLIENT))
    embed = settings.embed
    embedder = OpenAIEmbed(embedding, embed.model, embed.dimensions, timeout_s=embed.timeout_s)
    store = PineconeStore(storing, settings.vectors.timeout_s)
    chat = _chat(site, ground, bearer)
    ground.closing.push_async_callback(embedding.aclose)
    ground.closing.push_async_callback(store.aclose)
    return compose(ground, site.catalog, embedder, store, chat)


def _chat(site: Site, ground: Ground, headers: Mapping[str, str]) -> Chat:
    settings = site.settings.chat
    transport = SimulatedTransport(site.handle, headers, "/v1")
    ground.closing.push_async_callback(transport.aclose)
    if site.direct:
        return DirectChat(transport, settings.model, settings.timeout_s)
    return OpenAIChat(transport, settings.model, settings.timeout_s, max_tokens_key=settings.max_tokens_field)


async def _ledger(server: LedgerServer, replica: str, replicas: int, seed: str, closing: AsyncExitStack) -> RedisLedger:
    ledger = RedisLedger(server.connect, "memory", "rehearsal", replica, replicas, rng=random.Random(seed))
    await ledger.start()
    closing.push_async_callback(ledger.aclose)
    return ledger


def _lots(seed: str) -> Callable[[], random.Random]:
    """Return what makes generators: the same ones for the same seed."""
    numbers = count()
    return lambda: random.Random(f"{seed}-{next(numbers)}")
