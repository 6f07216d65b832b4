"""How well the right passages are found: rankings side by side on labelled questions.

`rushhour eval` is run on a data set in BEIR layout, with its own defaults: the local embedder, and the local reranker
where it is compared. The same questions, documents, chunks and vectors for each; nothing is kept afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.defaults import without_settings
from benchmarks.report import Column, Report, arguments

METRICS = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
PROMISED = (("fusion", "lexical"), ("fusion", "dense"), ("fusion", "rrf"), ("fusion+rerank", "fusion"))
"""Which is better than which, by MRR@10."""


def main() -> None:
    """Compare on one data set."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder in BEIR layout")
    parser.add_argument("--compare", default="dense,lexical,rrf,fusion,fusion+rerank", help="what to compare")
    parser.add_argument("--limit", type=int, help="ask so many questions, drawn by lot")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    options = [f"--compare={given.compare}", f"--seed={given.seed}"]
    found = evaluated(given.data, [*options, f"--limit={given.limit}"] if given.limit else options)
    runs = {run["name"]: run for run in found["runs"]}
    report = Report("retrieval")
    _table(report, found["dataset"], runs)
    for better, other in PROMISED:
        if better in runs and other in runs:
            what = f"MRR@10 of {better}, against that of {other}"
            report.at_least(what, runs[better]["mrr@10"], runs[other]["mrr@10"], ".4f")
    first = found["runs"][0]
    report.note(
        f"{first['questions']:,} questions to {first['documents']:,} documents, {first['embedder']}. "
        "Significant: worse than the best with 95 % confidence, by a paired bootstrap over the questions. "
        f"Times are of {first['questions_at_once']} questions at once."
    )
    report.finish(given.json)


def evaluated(data: Path, options: list[str]) -> dict[str, Any]:
    """Run the command in a folder of its own, and return what it wrote down."""
    with tempfile.TemporaryDirectory(prefix="rushhour-retrieval-") as folder:
        written = Path(folder, "figures.json")
        command = [sys.executable, "-m", "rushhour.cli", "eval", str(data.resolve()), f"--json={written}", *options]
        quiet = subprocess.DEVNULL
        done = subprocess.run(command, cwd=folder, env=without_settings(), stdout=quiet, check=False)  # noqa: S603  # ours
        if done.returncode:
            sys.exit(done.returncode)
        found: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return found


def _table(report: Report, dataset: str, runs: Mapping[str, Mapping[str, Any]]) -> None:
    answer = next((name for run in runs.values() for name in run if name.startswith("answer@")), None)
    metrics = [*METRICS, answer] if answer else [*METRICS]
    rows = [
        (
            name,
            *(run[metric] for metric in metrics),
            ", ".join(metric for metric in run["worse_than_best"] if metric in metrics) or "–",
            1000 * run["latency_p50_s"],
            1000 * run["latency_p95_s"],
        )
        for name, run in runs.items()
    ]
    report.table(
        f"Retrieval on {dataset}",
        (
            Column("Configuration", "name"),
            *(Column(metric, metric, ".3f") for metric in metrics),
            Column("Significant in", "worse_than_best"),
            Column("p50, ms", "p50_ms", ",.0f"),
            Column("p95, ms", "p95_ms", ",.0f"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
