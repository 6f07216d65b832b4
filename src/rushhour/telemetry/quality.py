"""How good answers are, as far as that shows without anybody's judgement.

What to watch is how these move: a rising share of questions that find nothing, or that are answered with "not in the
documents", says that people ask for what is not there, or that an ingestion went wrong. They have no labels but those
below, so their number does not grow with tenants or collections.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from rushhour.rag.contract import Answer

SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Quality:
    """The metrics of `answered`; answers that were not made for their question are told apart by `reused`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"rushhour_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str) -> Histogram:
            return Histogram(f"rushhour_{name}", about, buckets=SHARES, registry=registry)

        self.grounded = counter(
            "answers_grounded", "Answers by what they stand on: cited, uncited, not_found or empty.", "on"
        )
        self.gap = histogram("retrieval_top_gap", "How far the first passage's score is before the second's, of 1.")
        self.confidence = histogram("retrieval_confidence", "How likely the passages were to hold the answer.")
        self.cited = histogram("citations_cited_share", "Share of the provided passages that an answer cites.")
        self.citations = counter("citations", "Citations that generators made, valid or not.", "valid")

    def answered(self, answer: Answer) -> None:
        """Count an answer that was made for its question; a reused one was counted when it was made."""
        if answer.receipt.get("reused"):
            return
        self.grounded.labels(_grounded(answer)).inc()
        told = answer.grounding
        if told.confidence is not None:
            self.confidence.observe(told.confidence)
        self.citations.labels("yes").inc(len(answer.citations))
        self.citations.labels("no").inc(told.invalid)
        if answer.passages:
            self.gap.observe(_gap(answer))
            cited = {citation.number for citation in answer.citations}
            self.cited.observe(len(cited) / len(answer.passages))


def _grounded(answer: Answer) -> str:
    if not answer.passages:
        return "empty"
    if answer.grounding.not_found:
        return "not_found"
    return "cited" if answer.citations else "uncited"


def _gap(answer: Answer) -> float:
    best, *others = sorted((passage.score for passage in answer.passages), reverse=True)
    return min(max(best - max(others, default=0.0), 0.0), 1.0)
