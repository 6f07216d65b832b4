"""The way of one document: read, compare, cut, embed what is new, write, flip the version, delete what is stale.

Every vector is noted as garbage before it is written, and stale ones when the version flips: whatever moment the
process is killed at, the next ingestion knows what nobody owns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from rushhour.catalog.contract import Catalog, Chunk, File
from rushhour.errors import RushhourError, UnreadableDocument
from rushhour.flow.call import Call
from rushhour.hops.contract import Delete, Record, Upsert
from rushhour.rag.chunking.chunk import chunk, embedding_text, identified
from rushhour.rag.documents.printable import printable
from rushhour.rag.documents.sources import Loaded, Source
from rushhour.rag.ingestion.backend import Backend
from rushhour.rag.ingestion.claims import Claims
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome
from rushhour.rag.ingestion.room import ChunkRoom, Permits
from rushhour.rag.parse import VERSION, Document, check_format
from rushhour.rag.parse.pool import Parse, parse_in_thread

RECORDS_AN_UPSERT: Final = 128
SLICES_AT_ONCE: Final = 16
"""Of one file: as many as keep the embedder busy while others are being written."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all files of one ingestion share.

    `reading` bounds the files that are being read and cut, `room` those that are being embedded and written, by their
    chunks, `permits` the texts that are being bought at any moment.
    `on_embedded` is told whether a chunk's vector was bought just now. `moved` gives the name of the file that is gone
    from its folder and had the same bytes, by their digest, or ""; `moving` holds those whose new name is not visible.
    """

    backend: Backend
    claims: Claims
    collection: str
    call: Call
    reading: asyncio.Semaphore
    room: ChunkRoom
    permits: Permits
    on_found: Callable[[str, int], None]
    on_embedded: Callable[[str, bool], None]
    moved: Callable[[str], str]
    parse: Parse = parse_in_thread
    moving: set[str] = field(default_factory=set)

    @property
    def catalog(self) -> Catalog:
        """The truth."""
        return self.backend.catalog


@dataclass(frozen=True, slots=True)
class Version:
    """A document's present version as far as it is known before it is parsed."""

    source: Source
    loaded: Loaded
    fingerprint: str
    content: str


async def ingest_file(shop: Workshop, source: Source, reading: ExitStack) -> tuple[FileReport, RushhourError | None]:
    """Make a document's present version the visible one; raises the error that prevents it, or Taken.

    `reading` is closed as soon as the document is read and has room. Returned beside the report is the error that only
    kept stale vectors from being deleted: they are garbage, but never shown.
    """
    version = await read_version(shop.backend, source)
    before = await shop.catalog.file(shop.collection, source.name)
    if before and before.fingerprint == version.fingerprint:
        return await _unchanged(shop, version, before), None
    if before is None and (old_name := shop.moved(version.content)):
        shop.moving.add(old_name)
    await shop.claims.take(source.name)
    deleted: set[str] = set()
    try:
        before = await shop.catalog.file(shop.collection, source.name)
        if before and before.fingerprint == version.fingerprint:  # somebody was faster
            shop.moving.discard(shop.moved(version.content))
            return await _unchanged(shop, version, before), None
        draft = await _draft(shop, version, before)
        del version  # its bytes, which may be many, are not needed while it is embedded
        size = await shop.room.enter(max(1, len(draft.new)))
        reading.close()
        try:
            return await _flip(shop, draft, deleted)
        finally:
            shop.room.leave(size)
    finally:
        await shop.claims.release(source.name, deleted)


async def read_version(backend: Backend, source: Source) -> Version:
    """Read a document's bytes and digest them; raises DocumentError, and an UpstreamError that may pass."""
    loaded = await _loaded(source)
    fingerprint, content = await asyncio.to_thread(_digests, backend, source, loaded)
    return Version(source, loaded, fingerprint, content)


async def cut(backend: Backend, collection: str, version: Version, parse: Parse) -> tuple[str, list[Chunk]]:
    """Parse a document and cut it: its title and its chunks; raises DocumentError."""
    source = version.source
    document = await parse(source.name, version.loaded.content, version.loaded.form)
    return await asyncio.to_thread(_prepare, backend, collection, source, document)


async def new_chunks(catalog: Catalog, collection: str, chunks: Sequence[Chunk]) -> list[Chunk]:
    """Leave out the chunks that are visible already and were embedded with the same title and headings."""
    visible = await catalog.chunks(collection, [one.id for one in chunks])
    return [one for one in chunks if one.id not in visible or embedding_text(visible[one.id]) != embedding_text(one)]


async def carry_over(backend: Backend, collection: str, old_name: str, chunks: Sequence[Chunk]) -> dict[str, str]:
    """Map what would be embedded of a renamed file to what was embedded under its old name, where they differ."""
    ids = await backend.catalog.chunk_ids(collection, old_name)
    before = await backend.catalog.chunks(collection, sorted(ids))
    texts = {(one.heading, one.text): embedding_text(one) for one in before.values()}
    now = {embedding_text(one): texts.get((one.heading, one.text), "") for one in chunks}
    return {new: old for new, old in now.items() if old and old != new}


async def delete_vectors(shop: Workshop, ids: Sequence[str]) -> None:
    """Delete vectors from the store; raises what the hop raises."""
    await shop.backend.delete(Delete(shop.collection, ids), shop.call)


async def _unchanged(shop: Workshop, version: Version, before: File) -> FileReport:
    source = version.source
    if (before.root, before.content) != (source.root, version.content):
        await shop.catalog.adopt(shop.collection, source.name, source.root, version.content)
    return FileReport(source.name, Outcome.UNCHANGED, chunks=before.chunks)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A new version of a file: what it will be, its chunks, and those of them that need a vector."""

    file: File
    before: File | None
    chunks: list[Chunk]
    new: list[Chunk]


async def _draft(shop: Workshop, version: Version, before: File | None) -> _Draft:
    """Cut a document and compare it with the version before; its bytes are no longer needed then."""
    source = version.source
    title, chunks = await cut(shop.backend, shop.collection, version, shop.parse)
    new = await new_chunks(shop.catalog, shop.collection, chunks)
    shop.on_found(source.name, len(new))
    size = len(version.loaded.content)
    file = File(source.name, version.fingerprint, title, source.origin, size, root=source.root, content=version.content)
    return _Draft(file, before, chunks, new)


async def _flip(shop: Workshop, draft: _Draft, deleted: set[str]) -> tuple[FileReport, RushhourError | None]:
    """Write what is new and make it visible; `deleted` takes the ids whose vectors are gone."""
    file, new = draft.file, draft.new
    if draft.before is None and (old_name := shop.moved(file.content)):
        await _rename(shop, old_name, new)
    bought = await _embed_and_write(shop, file.name, new)
    stale = await shop.catalog.publish(shop.collection, file, draft.chunks)
    shop.moving.discard(shop.moved(file.content))
    failure = await _delete(shop, stale)
    if failure is None:
        deleted |= stale
    reason = f"its {len(stale)} outdated vectors could not be deleted: {failure}" if failure else ""
    outcome = Outcome.CHANGED if draft.before else Outcome.NEW
    chunks = len(draft.chunks)
    return FileReport(file.name, outcome, reason, chunks, bought, len(stale), len(new) - bought), failure


async def _loaded(source: Source) -> Loaded:
    if source.fetch is not None:
        return await source.fetch()
    check_format(source.name)
    return Loaded(await asyncio.to_thread(_load, source), "")


def _load(source: Source) -> bytes:
    try:
        return source.load()
    except OSError as cause:
        where = printable(str(cause.filename or source.name))
        raise UnreadableDocument(f"{where}: {cause.strerror or cause}.") from cause


def _digests(backend: Backend, source: Source, loaded: Loaded) -> tuple[str, str]:
    """Digest the bytes with whatever else shapes the chunks, their vectors and what is shown of them; and alone."""
    shaping = (
        str(backend.chunking),
        backend.embedder,
        source.title,
        source.origin,
        f"parsers v{VERSION} {loaded.form}",
        *(f"{key}={value!r}" for key, value in source.metadata),
    )
    whole = sha256("\0".join(shaping).encode("utf-8", "surrogatepass") + b"\0" + loaded.content)
    return whole.hexdigest(), sha256(loaded.content).hexdigest()


def _prepare(backend: Backend, collection: str, source: Source, document: Document) -> tuple[str, list[Chunk]]:
    title = source.title or document.title
    pieces = chunk(document, backend.chunking)
    return title, identified(collection, source.name, title, source.origin, pieces, dict(source.metadata))


async def _rename(shop: Workshop, old_name: str, chunks: Sequence[Chunk]) -> None:
    """Keep the vectors of the old name for the new one, whose title may be all that differs."""
    same = await carry_over(shop.backend, shop.collection, old_name, chunks)
    paid = await shop.backend.embed.known(list(same.values()))
    await shop.backend.embed.keep({new: paid[old] for new, old in same.items() if old in paid})


async def _embed_and_write(shop: Workshop, file: str, chunks: Sequence[Chunk]) -> int:
    """Embed chunks as permits allow and write their vectors, a slice a call; return how many were bought."""
    await shop.catalog.note_garbage(shop.collection, file, [one.id for one in chunks])
    turns = asyncio.Semaphore(SLICES_AT_ONCE)
    failures: list[RushhourError] = []
    bought = 0

    def note(paid: bool) -> None:
        nonlocal bought
        bought += paid
        shop.on_embedded(file, paid)

    async def write(some: Sequence[Chunk]) -> None:
        try:
            texts = [embedding_text(one) for one in some]
            vectors = await shop.backend.embed.vectors(texts, shop.call, shop.permits, note)
            records = [Record(one.id, vector, {"file": file}) for one, vector in zip(some, vectors, strict=True)]
            await shop.backend.upsert(Upsert(shop.collection, records), shop.call)
        except RushhourError as cause:
            failures.append(cause)  # not raised: that would cancel the others, whose replies are being paid for

    async with asyncio.TaskGroup() as group:
        for first in range(0, len(chunks), RECORDS_AN_UPSERT):
            await turns.acquire()
            if failures:
                break
            task = group.create_task(write(chunks[first : first + RECORDS_AN_UPSERT]))
            task.add_done_callback(lambda _task: turns.release())
    if failures:
        raise failures[0]
    return bought


async def _delete(shop: Workshop, stale: set[str]) -> RushhourError | None:
    if not stale:
        return None
    try:
        await delete_vectors(shop, sorted(stale))
    except RushhourError as cause:
        return cause
    return None
