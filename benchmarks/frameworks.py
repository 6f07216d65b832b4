"""Is retrieval out of the box as good as the common frameworks'? Same documents, same embedder, same questions.

Each contender keeps its own defaults: splitter, store, ranking. Whole documents (`--documents`, in BEIR layout) are
judged by where the right one comes; spans in long documents (`--spans`, see benchmarks/spans.py) by how much of them is
in the first tokens that are read, as in `benchmarks.chunking`. Give one of the folders, or both.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.contenders import Contender, Stretch, langchain, llama_index, rushhour
from benchmarks.local_embeddings import LocalEmbeddings
from benchmarks.report import Cell, Column, Report, arguments
from benchmarks.spans import Found, load, score
from benchmarks.splitters import INSTALL, installed
from rushhour.hops.local_embed import LocalEmbed
from rushhour.rag.evaluate.dataset import Dataset, read_dataset
from rushhour.rag.tokens import counted_by

OURS = "rushhour"
DEPTH = 10
BUDGET = 2000

WHOLE = (
    Column("contender", "contender"),
    Column("recall@1", "recall@1", ".3f"),
    Column("recall@5", "recall@5", ".3f"),
    Column(f"MRR@{DEPTH}", "mrr@10", ".3f"),
)
SPANS = (
    Column("contender", "contender"),
    Column(f"recall in {BUDGET:,} tokens", "recall", ".3f"),
    Column("precision", "precision", ".2%"),
)


def main() -> None:
    """Run it on the folders given."""
    parser = arguments(__doc__)
    parser.add_argument("--documents", type=Path, metavar="DIR", help="corpus.jsonl, queries.jsonl, qrels/test.tsv")
    parser.add_argument("--spans", type=Path, metavar="DIR", help="documents and questions.csv")
    parser.add_argument("--questions", type=int, default=0, help="ask only so many of each")
    given = parser.parse_args()
    if not given.documents and not given.spans:
        parser.error("give --documents DIR or --spans DIR, or both")
    report = Report("frameworks")
    embeddings = LocalEmbeddings()
    contenders = _contenders(embeddings, report)
    if given.documents:
        _whole(report, contenders, read_dataset(given.documents).sample(given.questions or None, seed=1))
    if given.spans:
        _spans(report, contenders, given.spans, given.questions)
    embeddings.close()
    report.note("bge-small-en-v1.5 in int8 embeds for all; it reads 512 tokens of a chunk, whoever cuts longer ones.")
    report.finish(given.json)


def _contenders(embeddings: LocalEmbeddings, report: Report) -> dict[str, Contender]:
    found: dict[str, Contender] = {OURS: rushhour}
    for name, packages, make in (
        ("LangChain", ("langchain_core", "langchain_text_splitters"), langchain),
        ("LlamaIndex", ("llama_index",), llama_index),
    ):
        if all(map(installed, packages)):
            found[name] = make(embeddings)
        else:
            report.note(INSTALL.format(name))
    return found


def _whole(report: Report, contenders: Mapping[str, Contender], dataset: Dataset) -> None:
    documents = {f"{one.id}.txt": f"{one.title}\n\n{one.text}".strip() for one in dataset.documents}
    questions = [one.text for one in dataset.questions]
    scores = {}
    for name, find in contenders.items():
        places = [
            _place(ranking, {f"{right}.txt" for right in asked.relevant})
            for asked, ranking in zip(dataset.questions, find(documents, questions), strict=True)
        ]
        mrr = statistics.fmean(1 / place if place <= DEPTH else 0.0 for place in places)
        scores[name] = (_share(places, 1), _share(places, 5), mrr)
    rows: list[list[Cell]] = [[name, *row] for name, row in scores.items()]
    report.table(f"{dataset.name}: {len(documents)} documents, {len(questions)} questions", WHOLE, rows)
    for name, (recall, _, mrr) in scores.items():
        if name != OURS:
            report.at_least(f"recall@1 of ours over {name}'s", scores[OURS][0] / recall, 1.0, ".0f")
            report.at_least(f"MRR@{DEPTH} of ours over {name}'s", scores[OURS][2] / mrr, 1.0, ".0f")


def _place(ranking: Sequence[Stretch], right: set[str]) -> float:
    """Return at which place the first right document comes, each counted once; infinity if it does not."""
    names = list(dict.fromkeys(name for name, _, _ in ranking))
    return min((place for place, name in enumerate(names, 1) if name in right), default=float("inf"))


def _share(places: Sequence[float], within: int) -> float:
    return statistics.fmean(place <= within for place in places)


def _spans(report: Report, contenders: Mapping[str, Contender], folder: Path, limit: int) -> None:
    spans = load(folder).sample(limit)
    count = counted_by(LocalEmbed(threads=1).tokenizer())
    questions = [asked.text for asked in spans.questions]
    scores = {}
    for name, find in contenders.items():
        rankings = [
            [Found(file, start, end, max(1, count(spans.documents[file][start:end]))) for file, start, end in ranking]
            for ranking in find(spans.documents, questions)
        ]
        scores[name] = score(spans.questions, rankings, BUDGET)
    rows: list[list[Cell]] = [[name, one.recall, one.precision] for name, one in scores.items()]
    report.table(f"{folder.name}: {len(spans.documents)} long documents, {len(questions)} questions", SPANS, rows)
    for name, theirs in scores.items():
        if name != OURS:
            report.at_least(f"span recall of ours over {name}'s", scores[OURS].recall / theirs.recall, 1.0, ".0f")
            report.at_least(
                f"span precision of ours over {name}'s", scores[OURS].precision / theirs.precision, 1.0, ".0f"
            )


if __name__ == "__main__":
    main()
