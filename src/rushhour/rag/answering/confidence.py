"""How likely the passages are to hold the answer: what makes an honest "not in the documents" possible.

The fused scores cannot tell: they are scaled for each question, so the best passage of a hopeless search has a high
one too. What can are two absolute figures of the best passage: its cosine, and how much of the question's telling
words it knows. Two weights and a bias make a chance of them, fitted on labelled questions with and without their
documents (docs/decisions/0011-not-in-the-documents.md, which also says how well that works, and how to measure it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rushhour.hops.contract import Passage
from rushhour.rag.answering.telling import coverage, known, weights


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic rule; below `threshold` the passages are taken for not holding the answer."""

    bias: float
    cosine: float
    coverage: float
    threshold: float

    def chance(self, cosine: float, coverage: float) -> float:
        """Return how likely the answer is there, in [0, 1], if it is so for every second question."""
        return 1 / (1 + math.exp(-(self.bias + self.cosine * cosine + self.coverage * coverage)))


WORDS_ALONE: Final = Calibration(bias=-4.87, cosine=0.0, coverage=10.8, threshold=0.07)
"""For answers found without the embedder, and for embedders whose cosines nobody has calibrated."""

CALIBRATIONS: Final[Mapping[str, Calibration]] = {
    "bge-small-en-v1.5": Calibration(bias=-14.0, cosine=15.39, coverage=8.71, threshold=0.045),
}
"""By what is part of an embedding model's name: cosines of one model say nothing about those of another."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the best passage tells: its cosine, and the share of the question's words, by weight, that it knows."""

    cosine: float | None
    coverage: float


class Confidence:
    """Judges what was found for a question; `threshold` None means the calibrated one, 0 that nothing is too weak."""

    def __init__(self, embedder: str = "", threshold: float | None = None) -> None:
        self._with_cosines = next((rule for model, rule in CALIBRATIONS.items() if model in embedder), None)
        self._threshold = threshold

    def __call__(self, question: str, passages: Sequence[Passage]) -> tuple[float, bool]:
        """Return how likely the passages hold the answer, and whether that is too little.

        Takes up to 0.6 ms, and 0.03 where the passages have been read for another question lately.
        """
        found = evidence(question, passages)
        rule = self._with_cosines if self._with_cosines and found.cosine is not None else WORDS_ALONE
        chance = rule.chance(found.cosine or 0.0, found.coverage)
        return chance, chance < (rule.threshold if self._threshold is None else self._threshold)


def evidence(question: str, passages: Sequence[Passage]) -> Evidence:
    """Look at the best passage; where only BM25 found it, the best cosine of another stands in for its own."""
    return _evidence(question, tuple(passages))


@lru_cache(maxsize=1024)
def _evidence(question: str, passages: tuple[Passage, ...]) -> Evidence:
    """Look; kept, for in a rush many ask the same."""
    if not passages:
        return Evidence(None, 0.0)
    texts = [known(f"{one.title}\n{one.heading}\n{one.text}") for one in passages]
    cosines = [one.cosine for one in passages if one.cosine is not None]
    first = passages[0].cosine
    return Evidence(
        cosine=first if first is not None else max(cosines, default=None),
        coverage=coverage(weights(question, texts), texts[0]),
    )
