"""A data set becomes a collection as any documents do, and holds nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import HttpUrl, SecretStr

from rushhour.assemble import assemble
from rushhour.errors import DocumentError
from rushhour.rag.evaluate.collection import stock
from rushhour.rag.evaluate.dataset import Dataset, Labelled, Text
from rushhour.rag.ingestion.ingest_report import Progress
from rushhour.settings import EmbedSettings, Settings
from rushhour.simulator import Simulator, build_profile

DATASET = Dataset(
    "colours",
    "test",
    (Text("a/b.pdf", "", "The sea is blue."), Text("2", "Roses", "Roses are red.")),
    (Labelled("q", "what is blue?", {"a/b.pdf": 1}),),
)


def settings(simulator: Simulator, folder: Path, key: str = "right") -> Settings:
    """Embed at the simulated provider."""
    embed = EmbedSettings(provider="openai", model="m", base_url=HttpUrl(f"{simulator.url}/v1"), api_key=SecretStr(key))
    return Settings(data_dir=folder, embed=embed)


async def test_the_collection_follows_the_data_set(tmp_path: Path) -> None:
    """Ids are names whatever they look like, an id is no title, nothing is bought twice, and what left is gone."""
    told: list[Progress] = []
    async with Simulator() as simulator, assemble(settings(simulator, tmp_path / "data")) as system:
        first = await stock(system.ingester, "colours", DATASET, told.append)
        again = await stock(system.ingester, "colours", DATASET, told.append)
        chunks = await system.catalog.page("colours")
        less = await stock(system.ingester, "colours", replace(DATASET, documents=DATASET.documents[:1]), told.append)
        left = await system.catalog.files("colours")

    assert (first.embedded, again.embedded, less.embedded) == (2, 0, 0)
    assert {(chunk.file, chunk.title.strip()) for chunk in chunks} == {("a/b.pdf", ""), ("2", "Roses")}
    assert [file.name for file in left] == ["a/b.pdf"]
    assert told[-1].files_total == 1


async def test_a_data_set_that_is_not_wholly_there_is_not_measured(tmp_path: Path) -> None:
    """What a missing document would have answered must not count against the retrieval."""
    async with (
        Simulator(build_profile({"keys": ["right"]})) as simulator,
        assemble(settings(simulator, tmp_path / "data", "wrong")) as system,
    ):
        with pytest.raises(DocumentError, match=r"2 of 2 documents could not be ingested.*RUSHHOUR_EMBED__API_KEY"):
            await stock(system.ingester, "colours", DATASET, lambda _step: None)
