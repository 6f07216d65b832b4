"""The catalog of a rehearsal: once it is filled nothing changes in it, so what was read is read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rushhour.catalog.contract import Chunk, Collection, File, LexicalMatch
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.sqlite import SqliteFile


class RememberingCatalog(SqliteCatalog):
    """`SqliteCatalog` that remembers what questions read of it, until something is published or removed.

    Reading takes no virtual time, so this changes nothing but the time that a rehearsal takes.
    """

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self._collections: dict[str, Collection] = {}
        self._lexical: dict[tuple[str, str, int], list[LexicalMatch]] = {}
        self._chunks: dict[tuple[str, str], Chunk | None] = {}

    async def collection(self, name: str) -> Collection:
        """Return one; raises UnknownCollection, naming those that exist."""
        known = self._collections.get(name)
        if known is None:
            known = self._collections[name] = await super().collection(name)
        return known

    async def lexical(
        self, collection: str, query: str, top_k: int, where: Mapping[str, Any] | None = None
    ) -> list[LexicalMatch]:
        """BM25 over the visible chunks that pass the filter, best first; any text is a valid query."""
        if where:
            return await super().lexical(collection, query, top_k, where)
        key = (collection, query, top_k)
        known = self._lexical.get(key)
        if known is None:
            known = self._lexical[key] = await super().lexical(collection, query, top_k)
        return known

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones among these chunks, in the order asked; stale ids are simply absent."""
        unknown = [one for one in ids if (collection, one) not in self._chunks]
        if unknown:
            found = await super().chunks(collection, unknown)
            self._chunks |= {(collection, one): found.get(one) for one in unknown}
        told = ((one, self._chunks[collection, one]) for one in ids)
        return {one: chunk for one, chunk in told if chunk is not None}

    async def drop_collection(self, name: str) -> None:
        """Forget a collection with its files and chunks; raises UnknownCollection."""
        self._forget()
        await super().drop_collection(name)

    async def publish(self, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
        """Make this version the visible one, in one transaction; return the ids that became stale."""
        self._forget()
        return await super().publish(collection, file, chunks)

    async def remove(self, collection: str, file: str) -> set[str]:
        """Make a file invisible; return its ids, now stale; none for an unknown file."""
        self._forget()
        return await super().remove(collection, file)

    def _forget(self) -> None:
        self._collections.clear()
        self._lexical.clear()
        self._chunks.clear()
