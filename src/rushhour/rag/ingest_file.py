"""The way of one document: read, compare, cut, embed what is new, write, flip the version, delete what is stale."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from rushhour.catalog.contract import Catalog, Chunk, File
from rushhour.errors import RushhourError, UnreadableDocument
from rushhour.flow.call import Call, Hop
from rushhour.hops.contract import Delete, Record, Text, Upsert, Vector
from rushhour.rag.chunk import Chunking, chunk, embedding_text, identified
from rushhour.rag.ingest_report import FileReport, Outcome
from rushhour.rag.parse import VERSION, Document, check_format
from rushhour.rag.parse.pool import Parse, parse_in_thread
from rushhour.rag.sources import Loaded, Source

RECORDS_AN_UPSERT: Final = 200


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all files of one ingestion share; `permits` bound the chunks being embedded at any moment."""

    catalog: Catalog
    upsert: Hop[Upsert, int]
    delete: Hop[Delete, None]
    embed: Hop[Text, Vector]
    chunking: Chunking
    embedder: str
    collection: str
    call: Call
    permits: asyncio.Semaphore
    on_found: Callable[[str, int], None]
    on_embedded: Callable[[str], None]
    parse: Parse = parse_in_thread


async def ingest_file(shop: Workshop, source: Source) -> tuple[FileReport, RushhourError | None]:
    """Make a document's present version the visible one; raises the error that prevents it.

    Returned beside the report is the error that only kept stale vectors from being deleted: they are garbage, but
    never shown.
    """
    loaded = await _loaded(source)
    content = loaded.content
    fingerprint = await asyncio.to_thread(_fingerprint, shop, source, loaded)
    before = await shop.catalog.file(shop.collection, source.name)
    if before and before.fingerprint == fingerprint:
        return FileReport(source.name, Outcome.UNCHANGED, chunks=before.chunks), None
    document = await shop.parse(source.name, content, loaded.form)
    title, chunks = await asyncio.to_thread(_prepare, shop, source, document)
    new = await _to_embed(shop, chunks)
    shop.on_found(source.name, len(new))
    await _embed_and_write(shop, source.name, new)
    file = File(source.name, fingerprint, title, source.origin, len(content), len(chunks))
    stale = await shop.catalog.publish(shop.collection, file, chunks)
    failure = await _delete(shop, stale)
    reason = f"its {len(stale)} outdated vectors could not be deleted: {failure}" if failure else ""
    outcome = Outcome.CHANGED if before else Outcome.NEW
    return FileReport(source.name, outcome, reason, len(chunks), len(new), len(stale)), failure


async def _loaded(source: Source) -> Loaded:
    if source.fetch is not None:
        return await source.fetch()
    check_format(source.name)
    return Loaded(await asyncio.to_thread(_load, source), "")


def _load(source: Source) -> bytes:
    try:
        return source.load()
    except OSError as cause:
        raise UnreadableDocument(f"{cause.filename or source.name}: {cause.strerror or cause}.") from cause


def _fingerprint(shop: Workshop, source: Source, loaded: Loaded) -> str:
    """Digest the bytes and whatever else shapes the chunks, their vectors and what is shown of them."""
    shaping = (str(shop.chunking), shop.embedder, source.title, source.origin, f"parsers v{VERSION} {loaded.form}")
    return sha256("\0".join(shaping).encode("utf-8", "surrogatepass") + b"\0" + loaded.content).hexdigest()


def _prepare(shop: Workshop, source: Source, document: Document) -> tuple[str, list[Chunk]]:
    title = source.title or document.title
    pieces = chunk(document, shop.chunking)
    return title, identified(shop.collection, source.name, title, source.origin, pieces)


async def _to_embed(shop: Workshop, chunks: Sequence[Chunk]) -> list[Chunk]:
    """Leave out the chunks that are visible already and were embedded with the same title and headings."""
    visible = await shop.catalog.chunks(shop.collection, [one.id for one in chunks])
    return [one for one in chunks if one.id not in visible or embedding_text(visible[one.id]) != embedding_text(one)]


async def _embed_and_write(shop: Workshop, file: str, chunks: Sequence[Chunk]) -> None:
    """Embed chunks as permits allow and write their vectors, some hundreds a call, while others are being embedded."""
    ready: list[Record] = []

    async def embed(one: Chunk) -> None:
        vector = await shop.embed(Text(embedding_text(one)), shop.call)
        shop.on_embedded(file)
        ready.append(Record(one.id, vector, {"file": file}))
        if len(ready) >= RECORDS_AN_UPSERT:
            await write()

    async def write() -> None:
        records = ready.copy()
        ready.clear()
        await shop.upsert(Upsert(shop.collection, records), shop.call)

    failures: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as group:
            for one in chunks:
                await shop.permits.acquire()
                # Not in a finally of `embed`: a task that is cancelled before it starts never gets there.
                group.create_task(embed(one)).add_done_callback(lambda _task: shop.permits.release())
    except* RushhourError as several:
        failures.extend(several.exceptions)
    if failures:
        raise failures[0]
    if ready:
        await write()


async def _delete(shop: Workshop, stale: set[str]) -> RushhourError | None:
    if not stale:
        return None
    try:
        await shop.delete(Delete(shop.collection, sorted(stale)), shop.call)
    except RushhourError as cause:
        return cause
    return None
