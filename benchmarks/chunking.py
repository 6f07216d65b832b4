"""What cutting by structure is worth: how much of the answers, and how little else, fits the same budget of tokens.

Each way to cut is given the same documents, embedder, retrieval and budget: the best chunks are read until the budget
is used up, the last of them in part. What two chunks share is read and paid for once, for passages are made so: chunks
that follow each other become one. Recall is the part of the answering spans that was read; precision is the part of
what was read that is in those spans; both in characters, as means over the questions. `dense` ranks by cosine alone,
`fusion` as the product does, with BM25. `--data` is a folder of documents and questions.csv (see benchmarks/spans.py).

Where cuts at fixed distances begin is arbitrary, and which answers they part is luck: they are judged by the mean over
several beginnings. A difference whose interval holds zero may be chance. The default size of our chunks was chosen
among ten on Chroma's data, so on that data it looks a little better than it is.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.local_embeddings import LocalEmbeddings
from benchmarks.report import Cell, Column, Report, arguments
from benchmarks.spans import Asked, Difference, Found, Rows, Spans, difference, judged, load
from benchmarks.splitters import INSTALL, Splitter, fixed, installed, langchain, llama_index, ours
from rushhour import settings
from rushhour.catalog.contract import Chunk, File
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.hops.local_embed import LocalEmbed
from rushhour.rag.chunking.chunk import Chunking, embedding_text
from rushhour.rag.retrieval.fuse import FUSIONS
from rushhour.rag.tokens import CountTokens, counted_by

OURS = "rushhour"
FIXED = "every 1,200 characters"
SIZE = 1200
BEGINNINGS = range(200, SIZE + 1, 200)
"""After how many characters the first of the fixed cuts is."""
CANDIDATES = 50
PROMISED = {"dense": "mean", "fusion": "high"}
"""For each ranking, which figure of the difference is not below zero: `high` says no more than that none is certain."""
DIFFERENCES = (
    Column("", "what"),
    Column("difference", "mean", "+.4f"),
    Column("95 % from", "low", "+.4f"),
    Column("to", "high", "+.4f"),
)


def main() -> None:
    """Run it on a folder."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="documents and questions.csv")
    parser.add_argument("--budgets", type=int, nargs="+", default=[500, 1000, 2000, 4000], help="tokens that are read")
    parser.add_argument("--tokens", type=int, default=settings.ChunkSettings().tokens, help="size of our chunks")
    parser.add_argument("--overlap", type=int, default=settings.ChunkSettings().overlap, help="and their overlap")
    parser.add_argument("--questions", type=int, default=0, help="ask only so many")
    given = parser.parse_args()
    report = Report("chunking")
    spans = load(given.data).sample(given.questions)
    count = counted_by(LocalEmbed(threads=1).tokenizer())
    splitters = _splitters(Chunking(given.tokens, given.overlap, count, "bge"), report)
    embeddings = LocalEmbeddings()
    found = {
        name: [_rankings(spans, splitter, count, embeddings) for splitter in alternatives]
        for name, alternatives in splitters.items()
    }
    embeddings.close()
    report.note(f"{len(spans.documents)} documents, {len(spans.questions)} questions; ours: {given.tokens} tokens.")
    for ranking in PROMISED:
        rows = {
            name: {budget: _judged(spans.questions, [one[ranking] for one in some], budget) for budget in given.budgets}
            for name, some in found.items()
        }
        _judge(report, ranking, rows)
    report.finish(given.json)


def _splitters(chunking: Chunking, report: Report) -> dict[str, list[Splitter]]:
    """Return the splitters that are judged together, by name."""
    found = {OURS: [ours(chunking)], FIXED: [fixed(SIZE, first) for first in BEGINNINGS]}
    for name, package, make in (
        ("LangChain's default", "langchain_text_splitters", langchain),
        ("LlamaIndex's default", "llama_index", llama_index),
    ):
        if installed(package):
            found[name] = [make()]
        else:
            report.note(INSTALL.format(package))
    return found


def _rankings(
    spans: Spans, splitter: Splitter, count: CountTokens, embeddings: LocalEmbeddings
) -> Mapping[str, list[list[Found]]]:
    """Return for each ranking and each question what is found, best first."""
    cuts = [(name, cut) for name, text in spans.documents.items() for cut in splitter(name, text)]
    found = [
        Found(name, cut.start, cut.end, max(1, count(spans.documents[name][cut.start : cut.end]))) for name, cut in cuts
    ]
    chunks = [cut.chunk(place) for place, (_, cut) in enumerate(cuts)]
    passages = embeddings.passages([embedding_text(one) for one in chunks])
    cosines = embeddings.questions([asked.text for asked in spans.questions]) @ passages.T
    matches = asyncio.run(_lexical(chunks, [asked.text for asked in spans.questions]))
    rankings: dict[str, list[list[Found]]] = {ranking: [] for ranking in PROMISED}
    for row, bm25 in zip(cosines, matches, strict=True):
        dense = {str(place): float(row[place]) for place in np.argsort(-row)[:CANDIDATES]}
        for ranking in PROMISED:
            rankings[ranking].append([found[int(place)] for place in FUSIONS[ranking].combine(dense, bm25)])
    return rankings


async def _lexical(chunks: Sequence[Chunk], questions: Sequence[str]) -> list[dict[str, float]]:
    """Return the BM25 scores of the best chunks for each question, from the product's own index."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = await SqliteCatalog.open(Path(folder) / "catalog.sqlite3")
        try:
            await catalog.ensure_collection("benchmark", "local")
            await catalog.publish("benchmark", File("all", "", "", "", 0, len(chunks)), chunks)
            found = [await catalog.lexical("benchmark", question, CANDIDATES) for question in questions]
            return [{match.id: match.score for match in matches} for matches in found]
        finally:
            await catalog.aclose()


def _judged(questions: Sequence[Asked], alternatives: Sequence[Sequence[Sequence[Found]]], budget: int) -> Rows:
    """Return recall and precision of each question, as means over the alternatives."""
    mean: Rows = np.mean([judged(questions, rankings, budget) for rankings in alternatives], axis=0)
    return mean


def _judge(report: Report, ranking: str, judgements: Mapping[str, Mapping[int, Rows]]) -> None:
    columns = [Column(ranking, "splitter")]
    for budget in judgements[OURS]:
        columns.append(Column(f"recall in {budget:,}", f"recall_{budget}", ".3f"))
        columns.append(Column("precision", f"precision_{budget}", ".2%"))
    report.table(f"spans read, {ranking}", columns, [_row(*one) for one in judgements.items()])
    less = _differences(judgements[OURS], judgements[FIXED])
    rows = [(what, one.mean, one.low, one.high) for what, one in less.items()]
    report.table(f"ours less fixed size, {ranking}", DIFFERENCES, rows)
    figure = PROMISED[ranking]
    end = "" if figure == "mean" else ", upper end of the interval"
    for what, one in less.items():
        report.at_least(f"{what} tokens, {ranking}, ours less fixed size{end}", getattr(one, figure), 0.0, ".0f")


def _differences(mine: Mapping[int, Rows], theirs: Mapping[int, Rows]) -> dict[str, Difference]:
    return {
        f"{what} in {budget:,}": difference(mine[budget][:, place], theirs[budget][:, place])
        for budget in mine
        for place, what in enumerate(("recall", "precision"))
    }


def _row(name: str, judgements: Mapping[int, Rows]) -> list[Cell]:
    row: list[Cell] = [name]
    for rows in judgements.values():
        row += map(float, rows.mean(axis=0))
    return row


if __name__ == "__main__":
    main()
