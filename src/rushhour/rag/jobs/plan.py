"""What an ingestion would do, and cost, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushhour.rag.ingestion.ingest_report import FileReport, Outcome


@dataclass(frozen=True, slots=True)
class Plan:
    """The account of a dry run: nothing was written and nothing embedded.

    `reports` are the files as they would be (new, changed, unchanged, skipped, failed), with the `chunks` they would
    have, those that would be `embedded` and those whose vectors are `kept`; equal texts count once. `removed` are the
    files that would leave. `tokens` are counted as the chunking counts them, `cost_usd` at the configured price.
    """

    collection: str
    reports: Sequence[FileReport]
    removed: tuple[str, ...] = ()
    tokens: int = 0
    cost_usd: float = 0.0

    def with_outcome(self, *outcomes: Outcome) -> tuple[FileReport, ...]:
        """Return the files of which this would become, in order."""
        return tuple(report for report in self.reports if report.outcome in outcomes)

    @property
    def embedded(self) -> int:
        """Chunks that would have to be embedded."""
        return sum(report.embedded for report in self.reports)

    @property
    def kept(self) -> int:
        """New chunks whose vectors were paid for before."""
        return sum(report.kept for report in self.reports)
