"""What we know durably: collections, their files, and the chunks that are visible now.

The catalog is the truth; vector stores and lexical indexes are derived from it and can be rebuilt. A file is
visible in its old version or in its new one, never half: `publish` flips it in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of documents that is asked as one; over HTTP it is a model.

    `embedder` names the embedding model its vectors come from, `version` grows with each visible change,
    `created` is in Unix seconds.
    """

    name: str
    embedder: str
    version: int = 0
    created: int = 0
    files: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """One ingested document; `fingerprint` covers its bytes and everything that shaped its chunks."""

    name: str
    fingerprint: str
    title: str
    source: str
    bytes: int
    chunks: int = 0
    updated: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a file: `id` is `{collection}/{file}/{sha256(text)[:16]}-{n}`, `start`/`end` are characters."""

    id: str
    file: str
    position: int
    text: str
    title: str = ""
    heading: str = ""
    page: int | None = None
    start: int = 0
    end: int = 0
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LexicalMatch:
    """A BM25 hit; higher is better, and scores compare only within one query."""

    id: str
    score: float


class Catalog(Protocol):
    """The durable truth; one conformance suite runs over each implementation."""

    async def collections(self) -> list[Collection]:
        """List all collections by name."""
        ...

    async def collection(self, name: str) -> Collection:
        """Return one; raises UnknownCollection, naming those that exist."""
        ...

    async def ensure_collection(self, name: str, embedder: str) -> Collection:
        """Create it, or return it; raises InvalidRequest for a bad name or another embedder than its own."""
        ...

    async def drop_collection(self, name: str) -> None:
        """Forget a collection with its files and chunks; raises UnknownCollection."""
        ...

    async def file(self, collection: str, name: str) -> File | None:
        """Return the visible version of a file."""
        ...

    async def files(self, collection: str) -> list[File]:
        """List the visible files by name."""
        ...

    async def chunk_ids(self, collection: str, file: str) -> set[str]:
        """Ids of a file's visible chunks."""
        ...

    async def publish(self, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
        """Make this version the visible one, in one transaction; return the ids that became stale."""
        ...

    async def remove(self, collection: str, file: str) -> set[str]:
        """Make a file invisible; return its ids, now stale."""
        ...

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones among these chunks; stale ids are simply absent."""
        ...

    async def lexical(self, collection: str, query: str, top_k: int) -> list[LexicalMatch]:
        """BM25 over the visible chunks, best first; any text is a valid query."""
        ...

    async def aclose(self) -> None:
        """Finish writes and release files."""
        ...
