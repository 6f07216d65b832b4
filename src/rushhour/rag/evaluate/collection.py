"""A data set becomes a collection, through the same ingestion as any document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rushhour.errors import DocumentError
from rushhour.flow.call import Call
from rushhour.rag.documents.sources import Loaded, Source
from rushhour.rag.evaluate.dataset import Dataset, Text
from rushhour.rag.ingestion.ingest import Ingester
from rushhour.rag.ingestion.ingest_report import Summary
from rushhour.rag.ingestion.ingest_run import OnProgress

ROOT: Final = "dataset"
"""What all of its files belong to, so that those that left the data set leave the collection."""
UNTITLED: Final = " "
"""The title of a document that has none: else it would be called by its id, and the id would be embedded with it."""


async def stock(ingester: Ingester, collection: str, dataset: Dataset, on_progress: OnProgress) -> Summary:
    """Make the collection hold exactly the data set's documents, each a file named by its id.

    Doing it again embeds nothing. Raises DocumentError if a document could not be ingested: a question that it answers
    would count against the retrieval.
    """
    sources = _sources(dataset)
    summary = await ingester.ingest(collection, sources, Call("evaluation"), on_progress, roots=(ROOT,))
    if not summary.complete:
        reason = summary.given_up or f"{summary.failed[0].name!r} because of this: {summary.failed[0].reason}"
        raise DocumentError(
            f"{len(summary.failed) + summary.not_tried} of {len(dataset.documents)} documents could not be ingested, "
            f"so nothing was measured. {reason}"
        )
    return summary


def _sources(dataset: Dataset) -> Iterator[Source]:
    for document in dataset.documents:
        yield Source(
            name=document.id,
            load=bytes,  # unused: `fetch` tells the format, which an id does not
            origin=document.id,
            title=document.title or UNTITLED,
            fetch=_Fetch(document),
            root=ROOT,
        )


@dataclass(frozen=True, slots=True)
class _Fetch:
    document: Text

    async def __call__(self) -> Loaded:
        return Loaded(self.document.text.encode(), ".txt")
