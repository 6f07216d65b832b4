"""The benchmarks of retrieval and ingestion in a small form, on data of the tests' own."""

from __future__ import annotations

import csv
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushhour.errors import InvalidRequest

ROOT = Path(__file__).parents[3]
TOPICS = {
    "badges": "A lost badge is replaced at the reception desk within an hour.",
    "canteen": "The canteen serves lunch from noon until two in the afternoon.",
    "parking": "Visitors leave their cars in the yard behind the depot, row C.",
    "keys": "The keys of the vans hang on the board next to the north door.",
}
FILLER = "Nothing else was decided that day, and everybody went home a little earlier than usual. "


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    """Write a document that says four things, far from each other, and a question about each."""
    text = "\n\n".join(f"## {name.title()}\n\n{FILLER * 20}{said}\n\n{FILLER * 20}" for name, said in TOPICS.items())
    folder = tmp_path / "spans"
    folder.mkdir()
    (folder / "minutes.md").write_text(text)
    with (folder / "questions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("question", "references", "corpus_id"))
        for name, said in TOPICS.items():
            start = text.index(said)
            spot = {"content": said, "start_index": start, "end_index": start + len(said)}
            rows.writerow((f"What was said about the {name}?", json.dumps([spot]), "minutes"))
    return folder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Write the same as four documents in BEIR layout."""
    folder = tmp_path / "documents"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": name, "title": name.title(), "text": said} for name, said in TOPICS.items()]
    queries = [{"_id": f"q-{name}", "text": f"What about the {name}?"} for name in TOPICS]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    lines = ["query-id\tcorpus-id\tscore", *(f"q-{name}\t{name}\t1" for name in TOPICS)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def judging(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import `benchmarks.spans`, which is found from the project's root."""
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("benchmarks.spans")


def test_what_is_read_is_judged_by_characters(judging: Any) -> None:
    """Half of the span within the budget is half the recall; what is found twice is read and paid for once."""
    Found, score = judging.Found, judging.score  # noqa: N806  # a class
    asked = [judging.Asked("?", "a", ((100, 200),))]

    whole = score(asked, [[Found("a", 0, 400, 100), Found("b", 0, 400, 100)]], 200)
    half = score(asked, [[Found("a", 50, 250, 100)]], 50)
    twice = score(asked, [[Found("a", 100, 180, 20), Found("a", 60, 220, 40), Found("a", 220, 300, 20)]], 45)
    nothing = score(asked, [[]], 50)

    assert (whole.recall, whole.precision) == (1.0, 0.125)
    assert (half.recall, half.precision) == (0.5, 0.5)
    assert (twice.recall, twice.precision) == (1.0, 100 / 180)
    assert (nothing.recall, nothing.precision) == (0.0, 0.0)


@pytest.mark.parametrize(("first", "ends"), [(None, [10, 20, 25]), (4, [4, 14, 24, 25]), (10, [10, 20, 25])])
def test_fixed_cuts_begin_where_they_are_told(judging: Any, first: int | None, ends: list[int]) -> None:
    """Nothing is left out, before the first cut or after the last."""
    text = "abcdefghijklmnopqrstuvwxy"
    cuts = list(import_module("benchmarks.splitters").fixed(10, first)("a", text))

    assert [cut.end for cut in cuts] == ends
    assert "".join(cut.text for cut in cuts) == text


def test_a_difference_knows_what_is_chance(judging: Any) -> None:
    """The same everywhere is certain; now more, now less, is not."""
    certain = judging.difference(np.full(50, 0.6), np.full(50, 0.5))
    chance = judging.difference(np.tile([0.0, 1.0], 25), np.tile([1.0, 0.0], 25))

    assert certain.low == certain.high == pytest.approx(0.1)
    assert chance.low < chance.mean == 0 < chance.high


def test_data_that_is_not_there_is_named(judging: Any, tmp_path: Path) -> None:
    """Both a missing table and a missing document."""
    with pytest.raises(InvalidRequest, match=r"questions\.csv"):
        judging.load(tmp_path)
    (tmp_path / "questions.csv").write_text("question,references,corpus_id\nWhat?,[],nowhere\n")
    with pytest.raises(InvalidRequest, match=r"nowhere\.md"):
        judging.load(tmp_path)


@pytest.mark.slow
async def test_chunking(benchmark_run: Any, spans: Path) -> None:
    """Every splitter that is there is measured in every ranking; with a large budget everything is found."""
    found = await benchmark_run("chunking", "--data", str(spans), "--budgets", "500", "8000")

    read = {title: rows for title, rows in found["tables"].items() if title.startswith("spans read")}
    assert set(read) == {"spans read, dense", "spans read, fusion"}
    for rows in read.values():
        assert [row["splitter"] for row in rows][:2] == ["rushhour", "every 1,200 characters"]
        assert all(row["recall_8000"] == 1.0 for row in rows)
    assert len(found["promises"]) == 8


@pytest.mark.slow
async def test_frameworks(benchmark_run: Any, spans: Path, documents: Path) -> None:
    """Ours finds everything here, whether or not the others are installed; what is missing is said."""
    found = await benchmark_run("frameworks", "--documents", str(documents), "--spans", str(spans))

    whole, parts = found["tables"].values()
    assert whole[0] == {"contender": "rushhour", "recall@1": 1.0, "recall@5": 1.0, "mrr@10": 1.0}
    assert parts[0]["recall"] == 1.0
    missing = [note for note in found["notes"] if "pip install" in note]
    assert len(missing) + len(whole) == 3


@pytest.mark.slow
async def test_ingestion(benchmark_run: Any) -> None:
    """Both parts run, and what was embedded alone is what was ingested."""
    found = await benchmark_run("ingestion", "--speed-documents", "4", "--rounds", "1", "--documents", "50", "100")

    speed, memory = found["tables"].values()
    assert speed[0]["chunks"] > 4
    assert [row["documents"] for row in memory] == [50, 100]
    assert all(row["peak_mb"] >= row["before_mb"] > 0 for row in memory)
