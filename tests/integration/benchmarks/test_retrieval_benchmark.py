"""The comparison of rankings, on a data set of a few documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOPICS = ("walrus", "glacier", "lantern", "violin")


async def test_the_comparison_runs_and_says_what_is_kept(tmp_path: Path, benchmark_run: Any) -> None:
    """Every configuration has its row, and each promise between those compared is judged."""
    data = tmp_path / "data"
    (data / "qrels").mkdir(parents=True)
    documents = [{"_id": topic, "text": f"The {topic} is kept in its room."} for topic in TOPICS]
    questions = [{"_id": f"q-{topic}", "text": f"where is the {topic}?"} for topic in TOPICS]
    (data / "corpus.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in documents))
    (data / "queries.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in questions))
    (data / "qrels" / "test.tsv").write_text("".join(f"q-{topic}\t{topic}\t1\n" for topic in TOPICS))

    found = await benchmark_run("retrieval", f"--data={data}")

    (rows,) = found["tables"].values()
    assert [row["name"] for row in rows] == ["dense", "lexical", "rrf", "fusion", "fusion+rerank"]
    assert all(row["recall@5"] == 1 for row in rows)
    assert [promise["kept"] for promise in found["promises"]] == [True] * 4
