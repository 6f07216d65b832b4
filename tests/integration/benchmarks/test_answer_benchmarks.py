"""The benchmarks on labelled questions, over a small set made of Python's own manual."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
QUESTIONS = {
    "with": ("What is the with statement used for?", "wrap the execution of a block"),
    "lambda": ("What do lambda expressions create?", "anonymous functions"),
    "global": ("What does the global statement declare?", "identifiers"),
    "pass": ("What happens when the pass statement is executed?", "nothing happens"),
}


def labelled(folder: Path) -> Path:
    """Write topics and questions in BEIR layout."""
    (folder / "qrels").mkdir()
    documents = [
        {"_id": name, "title": f"The {name} topic", "text": topics[name]} for name in (*QUESTIONS, "if", "try")
    ]
    questions = [
        {"_id": f"q-{name}", "text": text, "metadata": {"answers": [answer]}}
        for name, (text, answer) in QUESTIONS.items()
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, questions)))
    labels = [f"q-{name}\t{name}\t1" for name in QUESTIONS]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *labels]) + "\n")
    return folder


async def test_the_extractive_benchmark(tmp_path: Path, benchmark_run: Any) -> None:
    """What is quoted is shorter than what was read, and holds no more."""
    found = await benchmark_run("extractive", "--data", str(await asyncio.to_thread(labelled, tmp_path)))

    ((quoted, first, everything),) = found["tables"].values()
    assert quoted["words"] < first["words"] <= everything["words"]
    assert 0.5 <= quoted["holds"] <= everything["holds"] == 1


async def test_the_benchmark_of_what_is_not_there(tmp_path: Path, benchmark_run: Any) -> None:
    """Questions whose document is there are told from those whose document is gone."""
    found = await benchmark_run("unanswerable", "--data", str(await asyncio.to_thread(labelled, tmp_path)))

    ((with_cosines, words_alone),) = found["tables"].values()
    assert with_cosines["false"] == words_alone["false"] == 0
    assert with_cosines["auc_near"] > 0.8
