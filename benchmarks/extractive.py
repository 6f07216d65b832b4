"""How often the answer is in what the extractive generator says, on questions whose answers are known.

Beside it, for what can be reached: how often the answer is in the passages that it read, and in the first of them.
Each question goes the whole way of any question, with rushhour's defaults, so one whose passages are taken for too weak
is told that the documents do not answer it: that holds no answer.
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
from rushhour.rag.contract import Answer, Question
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
    """What was said to a question, and from what."""

    question: Labelled
    answer: Answer

    @property
    def refused(self) -> bool:
        """Whether it was said that the documents do not answer."""
        return self.answer.grounding.not_found


async def told(bench: Bench) -> list[Told]:
    """Ask all questions that have an answer to look for."""
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(question: Labelled) -> Told:
        async with room, await bench.system.ask(Question(COLLECTION, question.text), Call()) as pieces:
            (answer,) = [piece async for piece in pieces if isinstance(piece, Answer)]
        return Told(question, answer)

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
    quoted = row("quoted", ["" if one.refused else one.answer.text for one in asked], asked)
    rows = [
        quoted,
        row("first passage", ["".join(one.text for one in told.answer.passages[:1]) for told in asked], asked),
        row("all passages", ["\n".join(one.text for one in told.answer.passages) for told in asked], asked),
    ]
    report = Report("extractive")
    report.table(f"{given.data.resolve().name}: {len(asked)} questions", COLUMNS, rows)
    refused = sum(one.refused for one in asked) / len(asked)
    citations = sum(len(one.answer.citations) for one in asked) / len(asked)
    report.note(f"{citations:.2f} quotations a question; {refused:.1%} were told that the documents do not answer.")
    report.at_least("the answer is in the quotation", quoted[1], 0.92, ".0%")
    report.finish(given.json)


async def _asked(folder: Path, limit: int | None) -> list[Told]:
    async with ingested(folder, limit) as bench:
        return await told(bench)


if __name__ == "__main__":
    main()
