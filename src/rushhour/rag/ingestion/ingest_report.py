"""What an ingestion tells while it runs and when it is done."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """What became of one file."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    """Its format is not supported, and nobody asked for it by name."""
    FAILED = "failed"
    NOT_TRIED = "not tried"
    """The ingestion was given up before its turn came."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file, and why if it went wrong; a reason beside success is a warning.

    `chunks` are those now visible of it, `embedded` those that had to be embedded, `deleted` those that left; `kept`
    are new ones whose vectors were paid for before. `attempts` is how often it was tried.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    chunks: int = 0
    embedded: int = 0
    deleted: int = 0
    kept: int = 0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingestion is; `outcome` is there when `file` has just been finished.

    `chunks` are the new ones found so far, `embedded` how many of them have their vectors.
    """

    files: int
    files_total: int
    chunks: int
    embedded: int
    file: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The account of an ingestion; `given_up` says why it did not try everything, and is empty otherwise.

    `tokens` and `cost_usd` are the embedder's; tokens are None where it does not say. `job` is the id to resume or
    retry it by, `resumed` whether it had begun before. `removed` are files that are gone from their folder or archive,
    `renamed` those of them that came back under another name, old name and new. `left_over` counts outdated vectors
    that could not be deleted yet: they are never shown, and the next ingestion deletes them.
    """

    collection: str
    reports: Sequence[FileReport]
    seconds: float
    tokens: int | None = None
    cost_usd: float = 0.0
    given_up: str = ""
    job: str = ""
    resumed: bool = False
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    chunks_removed: int = 0
    left_over: int = 0

    def with_outcome(self, *outcomes: Outcome) -> tuple[FileReport, ...]:
        """Return the files of which this became, in order."""
        return tuple(report for report in self.reports if report.outcome in outcomes)

    @property
    def files(self) -> int:
        """How many there were."""
        return len(self.reports)

    @property
    def new(self) -> int:
        """Files that were not there before."""
        return len(self.with_outcome(Outcome.NEW))

    @property
    def changed(self) -> int:
        """Files of which a new version is visible now."""
        return len(self.with_outcome(Outcome.CHANGED))

    @property
    def unchanged(self) -> int:
        """Files that were there already, in this version."""
        return len(self.with_outcome(Outcome.UNCHANGED))

    @property
    def skipped(self) -> int:
        """Files in folders whose format is not supported."""
        return len(self.with_outcome(Outcome.SKIPPED))

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """Files that could not be ingested; what was visible of them before still is."""
        return self.with_outcome(Outcome.FAILED)

    @property
    def not_tried(self) -> int:
        """Files left when the ingestion was given up."""
        return len(self.with_outcome(Outcome.NOT_TRIED))

    @property
    def chunks(self) -> int:
        """Visible chunks of the files that are ingested."""
        return sum(report.chunks for report in self.reports)

    @property
    def embedded(self) -> int:
        """Chunks that had to be embedded."""
        return sum(report.embedded for report in self.reports)

    @property
    def kept(self) -> int:
        """New chunks whose vectors were paid for before."""
        return sum(report.kept for report in self.reports)

    @property
    def deleted(self) -> int:
        """Chunks that are no longer visible."""
        return self.chunks_removed + sum(report.deleted for report in self.reports)

    @property
    def complete(self) -> bool:
        """Whether everything asked for is visible now."""
        return not self.failed and not self.not_tried
