"""Clearing up: vectors that nobody owns, and files that are gone from where they were found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rushhour.catalog.contract import Catalog, Compared, File
from rushhour.errors import RushhourError
from rushhour.rag.documents.sources import Sources
from rushhour.rag.ingestion.claims import Taken
from rushhour.rag.ingestion.ingest_file import Workshop, delete_vectors

FILES_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Missing:
    """The files that are gone from the folders and archives that an ingestion has listed."""

    files: tuple[File, ...]
    by_content: Mapping[str, str]
    """The first of them with some bytes, by their digest."""

    @classmethod
    def of(cls, files: tuple[File, ...]) -> Missing:
        """Look through what is gone."""
        # The first has to stay, and of equal keys the last does.
        return cls(files, {file.content: file.name for file in reversed(files) if file.content})

    def moved(self, content: str) -> str:
        """Return the missing file that had these bytes, or ""."""
        return self.by_content.get(content, "")


async def compare(catalog: Catalog, collection: str, sources: Sources, roots: Iterable[str]) -> Compared:
    """Compare what was listed with what is visible; of a root of which a part could not be listed nothing is missing.

    Who cannot look cannot know.
    """
    whole = await asyncio.to_thread(_whole, roots, sources)
    return await catalog.compare(collection, (source.name for source in sources), whole)


def _whole(roots: Iterable[str], sources: Sources) -> frozenset[str]:
    return frozenset(roots) - {source.root for source in sources if source.hole} - {""}


async def sweep(shop: Workshop) -> RushhourError | None:
    """Delete the vectors that nobody owns, but for those of files that somebody works on.

    Returns the error that stopped it: what is left is found by the next one.
    """
    garbage = await shop.catalog.garbage(shop.collection)
    files = list(garbage)
    for first in range(0, len(files), FILES_AT_A_TIME):
        claimed: dict[str, list[str]] = {}
        deleted = False
        try:
            for name in files[first : first + FILES_AT_A_TIME]:
                if await _claimed(shop, name):
                    claimed[name] = (await shop.catalog.garbage(shop.collection, name)).get(name, [])
            ids = [one for some in claimed.values() for one in some]
            if ids:
                await delete_vectors(shop, ids)
            deleted = True
        except RushhourError as cause:
            return cause
        finally:
            for name, ids in claimed.items():
                await shop.claims.release(name, ids if deleted else ())
    return None


async def remove_missing(shop: Workshop, files: Sequence[File]) -> tuple[list[File], int]:
    """Remove what is gone from its root, unless it came back from elsewhere; return that, and its number of chunks."""
    removed: list[File] = []
    chunks = 0
    for known in files:
        name = known.name
        if not await _claimed(shop, name):
            continue
        try:
            file = await shop.catalog.file(shop.collection, name)
            if file is not None and file.root == known.root:  # not ingested from elsewhere meanwhile
                chunks += len(await shop.catalog.remove(shop.collection, name))
                removed.append(file)
        finally:
            await shop.claims.release(name)
    return removed, chunks


async def _claimed(shop: Workshop, name: str) -> bool:
    try:
        await shop.claims.take(name)
    except Taken:
        return False
    return True
