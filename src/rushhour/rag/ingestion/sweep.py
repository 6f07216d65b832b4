"""Clearing up: vectors that nobody owns, and files that are gone from where they were found."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from rushhour.catalog.contract import File
from rushhour.errors import RushhourError
from rushhour.rag.documents.sources import Source
from rushhour.rag.ingestion.claims import Taken
from rushhour.rag.ingestion.ingest_file import Workshop, delete_vectors

FILES_AT_A_TIME = 200


@dataclass(slots=True)
class Roots:
    """The folders and archives that an ingestion has listed, and what is missing from them.

    A root of which a part could not be listed misses nothing: who cannot look cannot know.
    """

    listed: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    missing: dict[str, File] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)
    """The first missing file with some bytes, by their digest."""

    @classmethod
    def of(cls, roots: Iterable[str], sources: Collection[Source], visible: Iterable[File]) -> Roots:
        """Compare what was listed with what is visible."""
        whole = frozenset(roots) - {source.root for source in sources if source.hole} - {""}
        names = frozenset(source.name for source in sources)
        missing = {file.name: file for file in visible if file.root in whole and file.name not in names}
        # The first has to stay, and of equal keys the last does.
        by_content = {file.content: file.name for file in reversed(missing.values()) if file.content}
        return cls(whole, names, missing, by_content)

    def moved(self, content: str) -> str:
        """Return the missing file that had these bytes, or ""."""
        return self.by_content.get(content, "")


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


async def remove_missing(shop: Workshop, roots: Roots) -> tuple[list[File], int]:
    """Remove what is gone from its root; return those files, and how many chunks they had."""
    removed: list[File] = []
    chunks = 0
    for name, known in roots.missing.items():
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
