"""Stand-ins for a chat model, by settings alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import HttpUrl, SecretStr

from rushhour.assemble import assemble
from rushhour.errors import QuotaExhausted, SettingsError
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Question
from rushhour.rag.documents.sources import files_from
from rushhour.settings import ChatSettings, FallbackModel, Settings, load
from rushhour.simulator import Simulator
from rushhour.simulator.faults.orders import Order


def chat(first: Simulator, *fallbacks: FallbackModel) -> ChatSettings:
    """Ask a model of the first provider, then the others."""
    return ChatSettings(
        provider="openai",
        model="one",
        base_url=HttpUrl(f"{first.url}/v1"),
        api_key=SecretStr("first-key"),
        fallbacks=fallbacks,
    )


async def answer(settings: Settings, tmp_path: Path) -> Answer:
    """Ingest a page and ask about it."""
    page = tmp_path / "page.md"
    page.write_text("# Walrus\n\nThe walrus keeps the keys of the north pole in a blue box.\n")
    async with assemble(settings) as system:
        await system.ingester.ingest("docs", list(files_from([page])), Call())
        async with await system.ask(Question("docs", "Where are the keys of the north pole?"), Call()) as pieces:
            last = [piece async for piece in pieces][-1]
    assert isinstance(last, Answer)
    return last


async def test_a_model_elsewhere_stands_in_and_gets_no_key_but_its_own(tmp_path: Path) -> None:
    """The first provider's account is empty: the other answers, the receipt says so, and no secret goes astray."""
    async with Simulator() as first, Simulator() as second:
        first.inject(Order(fault="insufficient_quota", surface="chat", count=100))
        fallback = FallbackModel(model="two", base_url=HttpUrl(f"{second.url}/v1"))
        told = await answer(Settings(data_dir=tmp_path / "data", chat=chat(first, fallback)), tmp_path)
        asked = set(second.state()["clients"])

    assert (told.model, told.receipt["degraded"]) == ("two", ["fallback_model"])
    assert asked == {"anonymous"}


async def test_a_model_at_the_same_place_has_the_same_key(tmp_path: Path) -> None:
    """Only the model is named; all else is as for the first."""
    async with Simulator() as provider:
        provider.inject(Order(fault="overloaded", surface="chat", count=5))
        settings = Settings(data_dir=tmp_path / "data", chat=chat(provider, FallbackModel(model="two")))
        told = await answer(settings, tmp_path)
        asked = set(provider.state()["clients"])

    assert told.text
    assert asked == {"first-key"}


async def test_a_check_reaches_each_model(tmp_path: Path) -> None:
    """A stand-in that would refuse is known before it is needed, and told by its place in the chain."""
    async with Simulator() as first, Simulator() as second:
        second.inject(Order(fault="insufficient_quota", surface="chat", count=100))
        fallback = FallbackModel(model="two", base_url=HttpUrl(f"{second.url}/v1"))
        settings = Settings(data_dir=tmp_path / "data", chat=chat(first, FallbackModel(model="three"), fallback))
        async with assemble(settings) as system:
            assert "one: answers" in await system.checks["generator"]()
            assert "three: answers" in await system.checks["fallback 1"]()
            with pytest.raises(QuotaExhausted):
                await system.checks["fallback 2"]()


@pytest.mark.parametrize(
    ("fallbacks", "remedy"),
    [
        ('[{"model": "one"}]', "'one' twice"),
        ('[{"model": "two"}, {"model": "two"}]', "'two' twice"),
    ],
)
def test_a_chain_names_each_model_once(fallbacks: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is down is not stood in for by itself."""
    monkeypatch.setenv("RUSHHOUR_CHAT__PROVIDER", "openai")
    monkeypatch.setenv("RUSHHOUR_CHAT__MODEL", "one")
    monkeypatch.setenv("RUSHHOUR_CHAT__FALLBACKS", fallbacks)

    with pytest.raises(SettingsError, match=remedy):
        load()


def test_quotations_need_no_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fallbacks without a provider's model before them are a mistake."""
    monkeypatch.setenv("RUSHHOUR_CHAT__FALLBACKS", '[{"model": "two"}]')

    with pytest.raises(SettingsError, match="set provider and model"):
        load()
