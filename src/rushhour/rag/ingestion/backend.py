"""What all that is done to collections works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rushhour.catalog.contract import Catalog
from rushhour.flow.call import Hop
from rushhour.hops.contract import Delete, Match, Upsert, VectorQuery
from rushhour.rag.chunking.chunk import Chunking
from rushhour.rag.ingestion.paid_embed import PaidEmbed
from rushhour.rag.jobs.leases import Leases
from rushhour.rag.receipt import Price

COLLECTION: Final = "collection-"
"""The lock that ingestions into a collection share, and that whoever needs it alone takes alone."""
JOB: Final = "job-"
"""The lock that a running ingestion holds, by its owner's name."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The hops have their policies; `embed` buys passages and keeps them. `prices` are by model, in the embedder's."""

    catalog: Catalog
    upsert: Hop[Upsert, int]
    delete: Hop[Delete, None]
    query: Hop[VectorQuery, list[Match]]
    embed: PaidEmbed
    chunking: Chunking
    leases: Leases
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def embedder(self) -> str:
        """What the vectors come from; a collection keeps it for good."""
        return self.embed.embedder
