"""How well "not in the documents" is told from an answer, on labelled questions.

Each question is asked three times: of all documents; of all but those that answer it and their near duplicates (what
stands beside them, on the same subject, remains); and of all that have another title. What is judged is what retrieval
hands to the answer, with rushhour's defaults. `--fit` prints the constants that these questions would give.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.labelled import COLLECTION, Bench, ingested, near_duplicates
from benchmarks.report import Column, Report, arguments
from rushhour.flow.call import Call
from rushhour.rag.answering.confidence import CALIBRATIONS, WORDS_ALONE, Calibration, Evidence, evidence
from rushhour.rag.evaluate.dataset import Labelled
from rushhour.rag.retrieval.filters import Comparison, Filter

AT_ONCE: Final = 4
FALSE_ALARMS: Final = 0.02
BGE: Final = CALIBRATIONS["bge-small-en-v1.5"]

Figures = NDArray[np.float64]

COLUMNS = (
    Column("rule", "rule"),
    Column("answer removed: AUC", "auc_near", ".3f"),
    Column("caught", "caught_near", ".1%"),
    Column("subject removed: AUC", "auc_far", ".3f"),
    Column("caught", "caught_far", ".1%"),
    Column("false alarms", "false", ".1%"),
    Column("caught at 2 % false", "caught_near_2", ".1%"),
    Column("caught at 2 % false", "caught_far_2", ".1%"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found for one question: with its answer, without it, and without its subject, where others remain."""

    present: Evidence
    near: Evidence
    far: Evidence | None


async def looked(bench: Bench) -> list[Seen]:
    """Ask all questions in all three ways."""
    titles = {document.id: document.title for document in bench.dataset.documents}
    room = asyncio.Semaphore(AT_ONCE)

    async def found(question: Labelled, filters: Filter | None) -> Evidence:
        async with room:
            passages = await bench.system.retrieve(COLLECTION, question.text, Call(), None, filters)
        return evidence(question.text, passages)

    async def look(question: Labelled) -> Seen:
        gone = tuple(near_duplicates(question, bench.dataset.documents))
        subject = tuple({titles[name] for name in gone if titles.get(name)})
        without = Comparison("nin", "title", subject)
        return Seen(
            await found(question, None),
            await found(question, Comparison("nin", "file", gone)),
            await found(question, without) if subject and set(titles.values()) - set(subject) else None,
        )

    return list(await asyncio.gather(*map(look, bench.dataset.questions)))


def auc(right: Figures, wrong: Figures) -> float:
    """Return the chance that a right one scores higher than a wrong one; ties count half."""
    ordered = np.sort(wrong)
    below = np.searchsorted(ordered, right, "left") + np.searchsorted(ordered, right, "right")
    return float(below.mean() / 2 / len(wrong))


def row(name: str, rule: Calibration, seen: Sequence[Seen]) -> tuple[str | float | None, ...]:
    """Judge all that was seen by one rule."""
    right = chances(rule, [one.present for one in seen])
    near = chances(rule, [one.near for one in seen])
    far = chances(rule, [one.far for one in seen if one.far])
    strict = float(np.quantile(right, FALSE_ALARMS))
    return (
        name,
        auc(right, near),
        float((near < rule.threshold).mean()),
        auc(right, far) if len(far) else None,
        float((far < rule.threshold).mean()) if len(far) else None,
        float((right < rule.threshold).mean()),
        float((near < strict).mean()),
        float((far < strict).mean()) if len(far) else None,
    )


def chances(rule: Calibration, found: Sequence[Evidence]) -> Figures:
    """Return how likely each is to hold the answer."""
    return np.array([rule.chance(one.cosine or 0.0, one.coverage) for one in found])


def fitted(seen: Sequence[Seen], *, cosine: bool) -> Calibration:
    """Fit the rule by Newton's method: answers there against answers gone, each half of the weight."""
    right = [one.present for one in seen]
    wrong = [one.near for one in seen] + [one.far for one in seen if one.far]
    rows = np.array([[1.0, (one.cosine or 0.0) * cosine, one.coverage] for one in right + wrong])
    label = np.array([1.0] * len(right) + [0.0] * len(wrong))
    weight = np.where(label == 1, 0.5 / len(right), 0.5 / len(wrong)) * len(label)
    found = np.zeros(3)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ found))
        slope = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + 1e-6 * np.eye(3)
        found += np.linalg.solve(slope, rows.T @ (weight * (label - chance)) - 1e-6 * found)
    rule = Calibration(float(found[0]), float(found[1]), float(found[2]), 0.0)
    at = float(np.quantile(chances(rule, right), FALSE_ALARMS / 2))
    return Calibration(round(rule.bias, 2), round(rule.cosine, 2), round(rule.coverage, 2), round(at, 3))


def main() -> None:
    """Judge each data set by the rules in use, and say what it would make of them."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders in BEIR layout")
    parser.add_argument("--limit", type=int, help="questions of each, drawn by lot")
    parser.add_argument("--fit", action="store_true", help="also fit the rules to these questions")
    given = parser.parse_args()
    report = Report("unanswerable")
    for folder in given.data:
        seen = asyncio.run(_seen(folder, given.limit))
        rows = [row("cosine and words", BGE, seen), row("words alone", WORDS_ALONE, seen)]
        if given.fit:
            for name, cosine in (("fitted here", True), ("words, fitted here", False)):
                rule = fitted(seen, cosine=cosine)
                report.note(f"{folder.name}, {name}: {rule}")
                rows.append(row(name, rule, seen))
        report.table(f"{folder.resolve().name}: {len(seen)} questions", COLUMNS, rows)
        _promise(report, folder.resolve().name, rows[0])
    report.finish(given.json)


async def _seen(folder: Path, limit: int | None) -> list[Seen]:
    async with ingested(folder, limit) as bench:
        return await looked(bench)


def _promise(report: Report, name: str, judged: Sequence[str | float | None]) -> None:
    false, far, auc_near = judged[5], judged[4], judged[1]
    report.at_most(f"{name}: answerable questions that are called unanswerable", float(false or 0), 0.02, ".0%")
    report.at_least(f"{name}: AUC with only the answer removed", float(auc_near or 0), 0.9, ".2f")
    if far is not None:
        report.at_least(f"{name}: questions caught whose subject is gone", float(far), 0.7, ".0%")


if __name__ == "__main__":
    main()
