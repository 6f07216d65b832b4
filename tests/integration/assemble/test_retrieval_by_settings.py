"""Reranking and filters in a whole system, by settings alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import HttpUrl

from rushhour.assemble import assemble
from rushhour.errors import SettingsError
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Question
from rushhour.rag.documents.sources import files_from
from rushhour.rag.retrieval.filter_text import parse_filters
from rushhour.settings import RerankSettings, RetrievalSettings, Settings, load
from rushhour.simulator import Simulator
from rushhour.simulator.faults.orders import Order

PAGES = {
    "walrus.md": "# Walrus\n\nThe walrus keeps the keys of the north pole in a blue box under the ice.\n",
    "keys.md": "# Keys\n\nThe keys of a piano are black and white; its pole is no pole at all.\n",
    "penguin.md": "# Penguin\n\nThe penguin guards the keys of the south pole and has no box.\n",
}
QUESTION = "Where are the keys of the north pole?"


async def answers(settings: Settings, tmp_path: Path, *filters: Sequence[str]) -> list[Answer]:
    """Ingest the pages, and ask once for each filter."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    told = []
    async with assemble(settings) as system:
        await system.ingester.ingest("docs", list(files_from([folder])), Call())
        for texts in filters or [[]]:
            question = Question("docs", QUESTION, filters=parse_filters(texts))
            async with await system.ask(question, Call()) as pieces:
                last = [piece async for piece in pieces][-1]
            assert isinstance(last, Answer)
            told.append(last)
    return told


async def test_the_local_reranker_reads_again(tmp_path: Path) -> None:
    """One setting is enough; what it read is on the receipt, and what a search is said to cost."""
    rerank = RerankSettings(provider="local", price_search=2.0)
    settings = Settings(data_dir=tmp_path / "data", rerank=rerank)
    (answer,) = await answers(settings, tmp_path)

    assert answer.passages[0].file == "walrus.md"
    assert answer.receipt["hops"]["rerank"]["input_tokens"] > 0
    assert answer.receipt["cost_usd"] == pytest.approx(0.002)
    assert answer.receipt["degraded"] == []


async def test_a_reranker_elsewhere_is_paid_for(tmp_path: Path) -> None:
    """A search is charged, and shown in dollars."""
    async with Simulator() as provider:
        rerank = RerankSettings(
            provider="cohere", model="rerank-v3.5", base_url=HttpUrl(f"{provider.url}/v2"), price_search=2.0
        )
        (answer,) = await answers(Settings(data_dir=tmp_path / "data", rerank=rerank), tmp_path)

    assert answer.receipt["hops"]["rerank"]["calls"] == 1
    assert answer.receipt["cost_usd"] == pytest.approx(0.002)


async def test_a_check_reaches_the_reranker(tmp_path: Path) -> None:
    """It is there only where one is set up, and says what it found."""
    async with Simulator() as provider:
        rerank = RerankSettings(provider="cohere", model="rerank-v3.5", base_url=HttpUrl(f"{provider.url}/v2"))
        async with assemble(Settings(data_dir=tmp_path / "data", rerank=rerank)) as system:
            said = await system.checks["reranker"]()
        async with assemble(Settings(data_dir=tmp_path / "data")) as system:
            assert "reranker" not in system.checks

    assert said == "cohere, rerank-v3.5: ranks"


async def test_without_its_reranker_an_answer_is_still_an_answer(tmp_path: Path) -> None:
    """The fused order stands, and the receipt says so."""
    async with Simulator() as provider:
        provider.inject(Order(fault="overloaded", surface="rerank", count=100))
        rerank = RerankSettings(provider="tei", base_url=HttpUrl(provider.url), timeout_s=1.0)
        (answer,) = await answers(Settings(data_dir=tmp_path / "data", rerank=rerank), tmp_path)

    assert answer.passages
    assert answer.receipt["degraded"] == ["no_rerank"]


async def test_filters_bound_what_is_read_and_what_is_reused(tmp_path: Path) -> None:
    """Two filters are two questions, though the words are the same."""
    settings = Settings(data_dir=tmp_path / "data", retrieval=RetrievalSettings(ranking="rrf"))
    everything, penguin, others, none = await answers(
        settings, tmp_path, [], ["file=penguin.md"], ["file!=penguin.md|keys.md"], ["page>=1"]
    )

    assert {passage.file for passage in everything.passages} == set(PAGES)
    assert {passage.file for passage in penguin.passages} == {"penguin.md"}
    assert {passage.file for passage in others.passages} == {"walrus.md"}
    assert none.passages == ()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"provider": "cohere"}, "RUSHHOUR_RERANK: model is missing"),
        ({"provider": "tei"}, "RUSHHOUR_RERANK: base_url is missing"),
        ({"provider": "best"}, "RUSHHOUR_RERANK__PROVIDER"),
        ({"weight": "2"}, "RUSHHOUR_RERANK__WEIGHT"),
    ],
)
def test_settings_that_cannot_work_are_named(
    section: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the key and the remedy."""
    monkeypatch.chdir(tmp_path)
    for name, value in section.items():
        monkeypatch.setenv(f"RUSHHOUR_RERANK__{name.upper()}", value)
    with pytest.raises(SettingsError, match=said):
        load()
