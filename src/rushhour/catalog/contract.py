"""What we know durably: collections, their files, and the chunks that are visible now.

The catalog is the truth; vector stores and lexical indexes are derived from it and can be rebuilt. A file is
visible in its old version or in its new one, never half: `publish` flips it in one transaction. Vectors that no
visible chunk owns are *garbage*: they are noted before they can come to be, until they are deleted or published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from rushhour.catalog.job_contract import JobRecords


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of documents that is asked as one; over HTTP it is a model.

    `embedder` names the embedding model its vectors come from, `version` grows with each visible change. `created`, and
    `updated`, when the newest of its files became visible, are in Unix seconds.
    """

    name: str
    embedder: str
    version: int = 0
    created: int = 0
    files: int = 0
    chunks: int = 0
    updated: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """One ingested document; `fingerprint` covers its bytes and everything that shaped its chunks.

    `root` names the folder or archive that it was found in, and is empty for a file given by itself; `content` is the
    SHA-256 of its bytes, empty where it is not known.
    """

    name: str
    fingerprint: str
    title: str
    source: str
    bytes: int
    chunks: int = 0
    updated: int = 0
    root: str = ""
    content: str = ""


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


@dataclass(frozen=True, slots=True)
class Compared:
    """Names that were listed, beside what is visible: places of names that came before, and files that are missing."""

    repeated: frozenset[int]
    missing: tuple[File, ...]


class Collections(Protocol):
    """Which collections there are."""

    async def collections(self) -> list[Collection]:
        """List all collections by name."""
        ...

    async def collection(self, name: str) -> Collection:
        """Return one; raises UnknownCollection, naming those that exist."""
        ...


class Searchable(Collections, Protocol):
    """The visible chunks, as retrieval reads them."""

    async def chunks(self, collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones among these chunks; stale ids are simply absent."""
        ...

    async def lexical(
        self, collection: str, query: str, top_k: int, where: Mapping[str, Any] | None = None
    ) -> list[LexicalMatch]:
        """BM25 over the visible chunks, best first; any text is a valid query.

        `where` filters by file, title, source, heading, page and the chunks' metadata, in the spelling of Mongo:
        `{"page": {"$gte": 3}}`. Raises InvalidRequest for a filter that is not understood.
        """
        ...

    async def files_with(self, collection: str, where: Mapping[str, Any], limit: int) -> list[str]:
        """Return the names of at most `limit` files of which a visible chunk passes the filter."""
        ...

    async def at(self, collection: str, places: Sequence[tuple[str, int]]) -> list[Chunk]:
        """Return the visible chunks at these places (file, position); there need not be any."""
        ...


class Catalog(Searchable, JobRecords, Protocol):
    """The durable truth; one conformance suite runs over each implementation."""

    async def check_collection(self, name: str, embedder: str) -> Collection | None:
        """Return what `ensure_collection` would, or None for a new one; raises as that does, and writes nothing."""
        ...

    async def ensure_collection(self, name: str, embedder: str) -> Collection:
        """Create it, or return it; raises InvalidRequest for a bad name or another embedder than its own."""
        ...

    async def drop_collection(self, name: str) -> None:
        """Forget a collection with its files, chunks, garbage and claims, not its jobs; raises UnknownCollection."""
        ...

    async def file(self, collection: str, name: str) -> File | None:
        """Return the visible version of a file."""
        ...

    async def files(self, collection: str) -> list[File]:
        """List the visible files by name."""
        ...

    async def compare(self, collection: str, names: Iterable[str], roots: Set[str]) -> Compared:
        """Say which of these names came before, and which visible files of these roots are not among them, by name.

        The names are gone through in a thread, and not kept in memory.
        """
        ...

    async def chunk_ids(self, collection: str, file: str) -> set[str]:
        """Ids of a file's visible chunks."""
        ...

    async def publish(self, collection: str, file: File, chunks: Sequence[Chunk]) -> set[str]:
        """Make this version the visible one, in one transaction; return the ids that became stale.

        Stale ids become garbage, and visible ones are none any more.
        """
        ...

    async def remove(self, collection: str, file: str) -> set[str]:
        """Make a file invisible; return its ids, now stale and garbage."""
        ...

    async def adopt(self, collection: str, file: str, root: str, content: str) -> None:
        """Note where an unchanged file was found this time, and the digest of its bytes; no new version."""
        ...

    async def claim(self, collection: str, file: str, owner: str, dead: str = "") -> str:
        """Reserve a file for `owner` until he releases it; return who has it now, which may be somebody else.

        A claim of `dead`, who is known to be gone, is taken over.
        """
        ...

    async def release(self, collection: str, file: str, owner: str, deleted: Iterable[str] = ()) -> None:
        """Give up a claim, and note that the vectors of `deleted` are gone; no claim is no error."""
        ...

    async def note_garbage(self, collection: str, file: str, ids: Sequence[str]) -> None:
        """Note vectors that are about to be written, except those of visible chunks."""
        ...

    async def garbage(self, collection: str, file: str | None = None) -> dict[str, list[str]]:
        """Return the ids of garbage, of all files or of one, by file."""
        ...

    async def page(self, collection: str, after: str = "", limit: int = 500) -> list[Chunk]:
        """Return the next visible chunks by id, those after the id given."""
        ...

    async def rebuild_lexical(self, collection: str) -> int:
        """Make the lexical index anew from the chunks, in one transaction; return how many; a new version."""
        ...

    async def aclose(self) -> None:
        """Finish writes and release files."""
        ...
