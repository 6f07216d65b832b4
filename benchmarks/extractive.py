"""How often the answer is in what the extractive generator quotes, on questions whose answers are known.

Beside it, for what can be reached: how often the answer is in the passages that it read, and in the first of them.
Passages come from retrieval with rushhour's defaults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.labelled import COLLECTION, Bench, ingested
from benchmarks.report import Column, Report, arguments
from rushhour.flow.call import Call
from rushhour.hops.contract import Passage
from rushhour.hops.extractive import NO_ANSWER, best_sentences
from rushhour.rag.evaluate.containment import contains
from rushhour.rag.evaluate.dataset import Labelled

AT_ONCE: Final = 4

COLUMNS = (
    Column("text", "text"),
    Column("holds the answer", "holds", ".1%"),
    Column("words", "words", ".1f"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What was quoted for a question, and from what."""

    question: Labelled
    passages: Sequence[Passage]
    quoted: Sequence[str]


async def told(bench: Bench) -> list[Told]:
    """Ask all questions that have an answer to look for."""
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(question: Labelled) -> Told:
        async with room:
            passages = await bench.system.retrieve(COLLECTION, question.text, Call())
        return Told(question, passages, best_sentences(question.text, passages))

    return list(await asyncio.gather(*(ask(one) for one in bench.dataset.questions if one.answers)))


def row(name: str, texts: Sequence[str], asked: Sequence[Told]) -> tuple[str, float, float]:
    """Count in how many of the texts the answer is."""
    held = sum(contains([text], one.question.answers) for text, one in zip(texts, asked, strict=True))
    return name, held / len(asked), sum(len(text.split()) for text in texts) / len(asked)


def main() -> None:
    """Ask the questions of one data set."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder in BEIR layout, with answers")
    parser.add_argument("--limit", type=int, help="questions, drawn by lot")
    given = parser.parse_args()
    asked = asyncio.run(_asked(given.data, given.limit))
    quoted = row("quoted", [" ".join(one.quoted) for one in asked], asked)
    rows = [
        quoted,
        row("first passage", ["".join(one.text for one in told.passages[:1]) for told in asked], asked),
        row("all passages", ["\n".join(one.text for one in told.passages) for told in asked], asked),
    ]
    report = Report("extractive")
    report.table(f"{given.data.resolve().name}: {len(asked)} questions", COLUMNS, rows)
    refused = sum(one.quoted[0] == NO_ANSWER for one in asked) / len(asked)
    sentences = sum(len(one.quoted) for one in asked) / len(asked)
    report.note(f"{sentences:.2f} sentences a question; {refused:.1%} were told that the documents do not answer.")
    report.at_least("the answer is in the quotation", quoted[1], 0.88, ".0%")
    report.finish(given.json)


async def _asked(folder: Path, limit: int | None) -> list[Told]:
    async with ingested(folder, limit) as bench:
        return await told(bench)


if __name__ == "__main__":
    main()
