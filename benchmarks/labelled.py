"""Labelled questions over a system of their own: documents ingested into a temporary folder, as a user's would be."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.defaults import default_settings
from rushhour.assemble import System, assemble
from rushhour.rag.evaluate.collection import stock
from rushhour.rag.evaluate.dataset import Dataset, Labelled, Text, read_dataset

COLLECTION: Final = "labelled"
_SHINGLE: Final = 5
_NEAR: Final = 0.5


@dataclass(frozen=True, slots=True)
class Bench:
    """A data set, ingested with the settings that rushhour has without any."""

    system: System
    dataset: Dataset


@asynccontextmanager
async def ingested(folder: Path, limit: int | None) -> AsyncIterator[Bench]:
    """Ingest all documents of a BEIR folder; of its questions take at most `limit`, always the same."""
    dataset = read_dataset(folder).sample(limit, seed=1)
    with tempfile.TemporaryDirectory() as data:
        async with assemble(default_settings(Path(data))) as system:
            await stock(system.ingester, COLLECTION, dataset, lambda _step: None)
            yield Bench(system, dataset)


def near_duplicates(question: Labelled, documents: Sequence[Text]) -> list[str]:
    """Return the ids of the relevant documents, and of those that say half of the same in the same words."""
    known = {document.id: _shingles(document.text) for document in documents}
    relevant = [known[name] for name in question.relevant if name in known]
    return [
        name
        for name, said in known.items()
        if name in question.relevant or any(len(said & one) > _NEAR * min(len(said), len(one)) for one in relevant)
    ]


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(zip(*(words[start:] for start in range(_SHINGLE)), strict=False))
