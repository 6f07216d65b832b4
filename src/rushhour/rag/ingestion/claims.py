"""Files are worked on by one ingestion at a time: what two would write and delete of one could not be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rushhour.rag.ingestion.backend import JOB, Backend


class Taken(Exception):
    """Another ingestion that is alive works on this file; it never leaves the ingestion."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"it is being ingested by {owner}, which is still running")
        self.owner = owner


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one ingestion on files of one collection; `owner` is known by a lease of its name."""

    backend: Backend
    collection: str
    owner: str

    async def take(self, file: str) -> None:
        """Claim a file, also from somebody who died; raises Taken if its owner lives."""
        catalog = self.backend.catalog
        has = await catalog.claim(self.collection, file, self.owner)
        if has != self.owner and not await self.backend.leases.held(JOB + has):
            has = await catalog.claim(self.collection, file, self.owner, dead=has)
        if has != self.owner:
            raise Taken(has)

    async def release(self, file: str, deleted: Iterable[str] = ()) -> None:
        """Give a file up; the vectors of `deleted` are gone."""
        await self.backend.catalog.release(self.collection, file, self.owner, tuple(deleted))
