"""`rushhour eval` as a user runs it: a data set in, figures out, and honest words for what cannot be measured."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

Rushhour = Callable[..., Awaitable[Any]]
Providers = Callable[..., AbstractAsyncContextManager[dict[str, str]]]

TOPICS = ("walrus", "glacier", "lantern", "violin", "harbour", "tulip")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Write six documents, one of them without a title and one with an odd id, and a question to each."""
    folder = tmp_path / "Six Things"
    (folder / "qrels").mkdir(parents=True)
    ids = [f"d{n}" for n in range(5)] + ["odd id/5.pdf"]
    corpus = [
        {"_id": name, "title": topic.title() if n else "", "text": f"The {topic} is kept in room {n}0{n}."}
        for n, (name, topic) in enumerate(zip(ids, TOPICS, strict=True))
    ]
    queries = [
        {"_id": f"q{n}", "text": f"where is the {topic}?", "answers": [f"Room {n}0{n}"]}
        for n, topic in enumerate(TOPICS)
    ]
    for name, lines in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    labels = "".join(f"q{n}\t{name}\t1\n" for n, name in enumerate(ids))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{labels}")
    return folder


async def test_figures_in_the_terminal_as_json_and_as_a_picture(
    rushhour: Rushhour, providers: Providers, dataset: Path, tmp_path: Path
) -> None:
    """The words decide here, so the lexical side finds everything; what the vectors of questions cost is told."""
    async with providers() as settings:
        options = ("--compare", "lexical,dense", "--json", "figures.json", "--plot", "figures.svg")
        done = await rushhour("eval", str(dataset), *options, embed__price_in="1000", **settings)
    told = json.loads((tmp_path / "figures.json").read_text())

    assert done.status == 0, done.said
    assert all(words in done.words for words in ("Six Things", "6 questions to 6 documents", "MRR@10", "answer@8"))
    lexical, dense = told["runs"]
    assert (told["dataset"], lexical["name"], dense["name"]) == ("Six Things", "lexical", "dense")
    assert [lexical[name] for name in ("recall@1", "recall@10", "mrr@10", "ndcg@10", "answer@8")] == [1.0] * 5
    assert (lexical["cost_usd_per_question"], lexical["embedding_tokens_per_question"]) == (0, 0)
    assert dense["cost_usd_per_question"] > 0
    assert "<svg" in (tmp_path / "figures.svg").read_text()


@pytest.mark.slow
async def test_documents_are_bought_once_until_they_change(
    rushhour: Rushhour, providers: Providers, dataset: Path
) -> None:
    """What left the data set leaves the collection, the rest is not embedded again; `--fresh` begins anew."""

    async def recall(*options: str) -> tuple[str, float]:
        written = dataset.parent / "figures.json"
        done = await rushhour("eval", str(dataset), "--compare=lexical", f"--json={written}", *options, **settings)
        assert done.status == 0, done.said
        return done.words, json.loads(written.read_text())["runs"][0]["recall@1"]

    corpus = dataset / "corpus.jsonl"
    lines = corpus.read_text()
    stranger = json.dumps({"_id": "stranger", "text": "Where is the walrus? The walrus!"})
    corpus.write_text(f"{lines}{stranger}\n")
    async with providers() as settings:
        more, hidden = await recall()
        corpus.write_text(lines)
        less, whole = await recall()
        fresh, _ = await recall("--fresh", "--limit=1")

    assert "7 chunks, 7 embedded now" in more
    assert "6 chunks, 0 embedded now" in less
    assert "6 chunks, 6 embedded now" in fresh
    assert hidden < whole == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Six Things", "--split", "dev"), ["'dev'", "test", "--split"]),
        (("Six Things", "--plot", "figures.png"), ["figures.png", ".svg or .html"]),
        (("Six Things", "--json", "no/such/file.json"), ["Cannot write", "no/such"]),
        (("Six Things", "--compare", "rrf+rerank"), ["reranking model", "lacks model.onnx"]),
    ],
)
async def test_what_cannot_be_measured_is_told(
    rushhour: Rushhour, dataset: Path, tmp_path: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    """Before anything is embedded, with the remedy."""
    done = await rushhour("eval", *arguments, rerank__model_dir=str(tmp_path / "empty"), embed__provider="local")

    done.failed(*words)
    assert not (tmp_path / ".rushhour").exists()


async def test_a_provider_that_refuses_ends_the_evaluation(
    rushhour: Rushhour, providers: Providers, dataset: Path
) -> None:
    """No figures are made up for documents that never came through."""
    async with providers(key="wrong") as settings:
        done = await rushhour("eval", str(dataset), **settings)

    done.failed("6 of 6 documents could not be ingested", "RUSHHOUR_EMBED__API_KEY")
    assert "MRR@10" not in done.said
