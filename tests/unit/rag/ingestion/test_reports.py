"""What became of each file, in a few bytes each."""

from __future__ import annotations

import tracemalloc

from rushhour.rag.documents.sources import Source
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome
from rushhour.rag.ingestion.reports import Reports


def test_reports_come_back_as_they_were_in_the_order_of_the_sources() -> None:
    """However they come in; of a file that nothing has become of there is none."""
    reports = Reports([Source(name, bytes, name) for name in "abcd"])
    failed = FileReport("c", Outcome.FAILED, "Rude.", attempts=3)
    changed = FileReport("a", Outcome.CHANGED, chunks=2**32 - 1, embedded=4, deleted=3, kept=2)
    new = FileReport("d", Outcome.NEW, chunks=1)

    for place, report in ((2, failed), (0, changed), (3, new)):
        reports.put(place, report)

    assert list(reports) == [changed, failed, new]
    assert (len(reports), reports[1], reports[-1], reports[:2]) == (3, failed, new, (changed, failed))
    assert failed in reports


def test_every_outcome_can_be_told() -> None:
    """They are numbered, and none is left out."""
    reports = Reports([Source(name, bytes, name) for name in Outcome])
    for place, outcome in enumerate(Outcome):
        reports.put(place, FileReport(outcome, outcome))

    assert [(report.name, report.outcome) for report in reports] == [(one.value, one) for one in Outcome]


def test_a_report_takes_a_few_bytes() -> None:
    """An object would take some three hundred."""
    sources = [Source("a", bytes, "a")] * 10_000
    tracemalloc.start()
    try:
        reports = Reports(sources)
        for place in range(len(sources)):
            reports.put(place, FileReport("a", Outcome.NEW, chunks=3, embedded=3))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held / len(sources) < 30
