"""Long documents, questions about them, and the very spans that answer them: what chunking is judged by.

The layout is that of Chroma's evaluation of chunking (Smith and Troynikov 2024): `NAME.md` files, and a
`questions.csv` whose `references` are spans (`start_index`, `end_index`, in characters) of the document `corpus_id`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rushhour.errors import InvalidRequest

Span: TypeAlias = tuple[int, int]
Rows: TypeAlias = NDArray[np.float64]

_DRAWS: Final = 4000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where in which document its answer stands."""

    text: str
    document: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Spans:
    """`documents` are texts by their files' names."""

    documents: Mapping[str, str]
    questions: tuple[Asked, ...]

    def sample(self, limit: int) -> Spans:
        """Return the same with about `limit` questions, evenly drawn; 0 keeps all."""
        step = max(1, len(self.questions) // limit) if limit else 1
        return Spans(self.documents, self.questions[::step])


@dataclass(frozen=True, slots=True)
class Found:
    """A retrieved stretch of a document, and how many tokens it has."""

    document: str
    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the questions: what part of the spans was read, and what part of what was read is in the spans."""

    recall: float
    precision: float


def load(folder: Path) -> Spans:
    """Read a folder; raises InvalidRequest for what is missing or does not fit together."""
    table = folder / "questions.csv"
    if not table.is_file():
        raise InvalidRequest(f"There is no {table}. Name a folder with questions.csv and the documents it asks about.")
    documents = {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*.md"))}
    questions = []
    with table.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            name = f"{row['corpus_id']}.md"
            if name not in documents:
                raise InvalidRequest(f"{table} asks about {name}, which is not in {folder}.")
            spans = tuple((one["start_index"], one["end_index"]) for one in json.loads(row["references"]))
            questions.append(Asked(row["question"], name, spans))
    return Spans(documents, tuple(questions))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more there is on average, with the 95 % interval of a paired bootstrap over the questions."""

    mean: float
    low: float
    high: float


def score(questions: Sequence[Asked], rankings: Sequence[Sequence[Found]], budget: int) -> Scores:
    """Judge what a reader of the first `budget` tokens of each ranking has read; what is found twice is read once."""
    recall, precision = judged(questions, rankings, budget).mean(axis=0)
    return Scores(float(recall), float(precision))


def judged(questions: Sequence[Asked], rankings: Sequence[Sequence[Found]], budget: int) -> Rows:
    """Return recall and precision of each question."""
    pairs = zip(questions, rankings, strict=True)
    return np.array([_judge(asked, _read(ranking, budget)) for asked, ranking in pairs])


def difference(ours: Rows, theirs: Rows, seed: int = 1) -> Difference:
    """Compare two judgements of the same questions, one figure a question."""
    each = ours - theirs
    drawn = np.random.default_rng(seed).integers(0, len(each), (_DRAWS, len(each)))
    low, high = np.quantile(each[drawn].mean(axis=1), (0.025, 0.975))
    return Difference(float(each.mean()), float(low), float(high))


def _read(ranking: Sequence[Found], budget: float) -> list[tuple[str, Span]]:
    """Take what fits and was not taken before, by document; of what does not fit, the beginning."""
    read: list[tuple[str, Span]] = []
    for found in ranking:
        each = found.tokens / (found.end - found.start)
        for start, end in _new(found, read):
            length = min(end - start, round(budget / each))
            read.append((found.document, (start, start + length)))
            budget -= (end - start) * each
            if budget <= 0:
                return read
    return read


def _new(found: Found, read: Sequence[tuple[str, Span]]) -> list[Span]:
    """Return what of a stretch was not read yet, in order."""
    new = [(found.start, found.end)]
    for document, (start, end) in read:
        if document == found.document:
            beside = [side for one in new for side in ((one[0], min(one[1], start)), (max(one[0], end), one[1]))]
            new = [(begin, stop) for begin, stop in beside if begin < stop]
    return new


def _judge(asked: Asked, read: Sequence[tuple[str, Span]]) -> tuple[float, float]:
    wanted = {place for start, end in asked.spans for place in range(start, end)}
    inside = [span for document, span in read if document == asked.document]
    seen = sum(start <= place < end for place in wanted for start, end in inside)
    length = sum(end - start for _, (start, end) in read)
    return seen / len(wanted), seen / length if length else 0.0
