"""What is told at the end of an ingestion: each file counted once, and what is left to do."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from rushhour.catalog.job_contract import Job
from rushhour.cli.ingest_account import LISTED, show_plan, show_summary
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Summary
from rushhour.rag.jobs.plan import Plan

JOB = Job("abc234", "desk", "{}")
ONE_EACH = tuple(FileReport(f"{outcome.name.lower()}.md", outcome) for outcome in Outcome)


def files(**counts: int) -> tuple[FileReport, ...]:
    """Make reports; the keys are names of outcomes."""
    return tuple(FileReport(f"{what}{n}.md", Outcome[what.upper()]) for what, of in counts.items() for n in range(of))


def told(account: Summary | Plan, job: Job = JOB) -> list[str]:
    """Return the lines that are printed."""
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    if isinstance(account, Plan):
        show_plan(account, console)
    else:
        show_summary(account, job, console)
    return out.getvalue().splitlines()


def test_every_outcome_is_counted_once_and_under_its_own_name() -> None:
    """With different numbers of each, which add up to the files; in the same words before and after."""
    reports = files(failed=5, not_tried=6, new=7, changed=2, unchanged=3, skipped=4)
    expected = "desk: 27 files (7 new, 2 changed, 3 unchanged, 4 skipped, 5 failed, 6 not tried)"

    assert told(Summary("desk", reports, 1.0))[0] == expected
    assert told(Plan("desk", reports))[0] == f"dry run {expected}"


@pytest.mark.parametrize("one", ONE_EACH, ids=lambda one: one.outcome.value)
def test_one_file_is_told_alone(one: FileReport) -> None:
    """In the singular, and without what there is none of."""
    assert told(Summary("desk", (one,), 1.0))[0] == f"desk: 1 file (1 {one.outcome.value})"


def test_nothing_is_told_as_such() -> None:
    """A folder may be empty."""
    assert told(Summary("desk", (), 0.04)) == [
        "desk: 0 files (none found)",
        "0 chunks visible, 0 embedded, 0 deleted, in 0.0 s",
    ]
    assert told(Plan("desk", ())) == [
        "dry run desk: 0 files (none found)",
        "0 chunks, 0 to embed; nothing was written",
    ]


def test_thousands_can_be_read() -> None:
    """In all counts."""
    one = FileReport("a.md", Outcome.CHANGED, chunks=5_000, embedded=2_000, deleted=1_000, kept=3_000)

    head, chunks = told(Summary("desk", (one,) * 1_200, 61.26, tokens=9_000_000, cost_usd=1.17))

    assert head == "desk: 1,200 files (1,200 changed)"
    assert chunks == (
        "6,000,000 chunks visible, 2,400,000 embedded (3,600,000 more had been paid for), 9,000,000 tokens, $1.170000, "
        "1,200,000 deleted, in 61.3 s"
    )


def test_chunks_are_added_up() -> None:
    """Over files of all outcomes; what left with files that are gone is deleted too."""
    reports = (
        FileReport("a.md", Outcome.NEW, chunks=1, embedded=1),
        FileReport("b.md", Outcome.CHANGED, chunks=20, embedded=4, deleted=5, kept=7),
        FileReport("c.md", Outcome.UNCHANGED, chunks=300),
        FileReport("d.md", Outcome.FAILED, "d.md is broken.", embedded=8),
    )

    done = told(Summary("desk", reports, 2.0, removed=("e.md",), chunks_removed=60))
    planned = told(Plan("desk", reports, ("e.md",), tokens=90, cost_usd=0.0000117))

    assert done[1] == "321 chunks visible, 13 embedded (7 more had been paid for), 65 deleted, in 2.0 s"
    assert planned[1] == (
        "321 chunks, 13 to embed (7 more had been paid for), 90 tokens, $0.000012; nothing was written"
    )
    assert told(Summary("desk", reports[:1], 2.0))[1].startswith("1 chunk visible, 1 embedded, ")
    assert told(Plan("desk", reports[:1]))[1] == "1 chunk, 1 to embed; nothing was written"


def test_a_renamed_file_is_neither_new_nor_removed() -> None:
    """It is told once, by both names; what is new and what is removed are those that are left."""
    summary = Summary(
        "desk",
        files(new=3, unchanged=1),
        1.0,
        removed=("gone.md", "old.md", "lost.md"),
        renamed=(("old.md", "new0.md"), ("lost.md", "new1.md")),
    )

    head, _, *rest = told(summary)

    assert head == "desk: 4 files (1 new, 1 unchanged, 2 renamed, 1 removed)"
    assert rest == ["renamed old.md → new0.md", "renamed lost.md → new1.md", "removed gone.md"]


def test_where_all_that_is_new_was_renamed_nothing_is_new() -> None:
    """Nor removed: what there is none of is not told."""
    summary = Summary("desk", files(new=1), 1.0, removed=("old.md",), renamed=(("old.md", "new0.md"),))

    assert told(summary)[0] == "desk: 1 file (1 renamed)"


def test_a_dry_run_tells_what_would_be_removed() -> None:
    """Which of them are renamed is known when it is done."""
    head, _, *rest = told(Plan("desk", files(new=1), ("old.md", "gone.md")))

    assert head == "dry run desk: 1 file (1 new, 2 removed)"
    assert rest == ["would remove old.md", "would remove gone.md"]


def test_reasons_are_told_of_what_has_them() -> None:
    """Failures first, then what was skipped, then notes beside success; each names its file once."""
    reports = (
        FileReport("a.md", Outcome.NEW, "its 2 outdated vectors could not be deleted: Down."),
        FileReport("b.md", Outcome.NEW),
        FileReport("c.md", Outcome.CHANGED, "c.md was cut short."),
        FileReport("d.png", Outcome.SKIPPED, "'.png' is not supported."),
        FileReport("[e].md", Outcome.FAILED, "[e].md is empty."),
        FileReport("f.md", Outcome.NOT_TRIED, "No money."),
        FileReport("g.md", Outcome.UNCHANGED, "as it was"),
    )
    expected = [
        "failed [e].md is empty.",
        "skipped d.png: '.png' is not supported.",
        "note a.md: its 2 outdated vectors could not be deleted: Down.",
        "note c.md was cut short.",
    ]

    assert told(Summary("desk", reports, 1.0))[2:] == expected
    assert told(Plan("desk", reports))[2:] == expected


@pytest.mark.parametrize(("more", "counted"), [(0, []), (1, ["… and 1 more removed"]), (3, ["… and 3 more removed"])])
def test_of_many_the_first_are_named(more: int, counted: list[str]) -> None:
    """And the others are counted."""
    names = tuple(f"{n:02}.md" for n in range(LISTED + more))

    lines = told(Summary("desk", (), 1.0, removed=names))

    assert lines[0] == f"desk: 0 files ({LISTED + more} removed)"
    assert lines[2:] == [f"removed {name}" for name in names[:LISTED]] + counted


@pytest.mark.parametrize(("left", "what"), [(1, "1 outdated vector"), (2, "2 outdated vectors")])
def test_vectors_that_are_left_over_are_told(left: int, what: str) -> None:
    """And that nobody has to do anything about them."""
    lines = told(Summary("desk", (), 1.0, left_over=left))

    assert lines[2:] == [f"left over {what}: the next ingestion deletes them"]


@pytest.mark.parametrize(("parked", "what"), [(1, "1 file parked"), (2, "2 files parked")])
def test_parked_files_can_be_tried_again(parked: int, what: str) -> None:
    """What to type is told; nothing is where none is parked."""
    summary = Summary("desk", (), 1.0)

    assert told(summary, replace(JOB, parked=parked))[2:] == [f"{what}; try again with:  rushhour jobs retry abc234"]
    assert told(summary)[2:] == []


def test_what_is_given_up_is_gone_on_with_first() -> None:
    """A job that is not done cannot be retried, so that is not what to type."""
    lines = told(Summary("desk", (), 1.0, given_up="[no] money."), replace(JOB, parked=2))

    assert lines[2:] == ["given up: [no] money.", "go on with:  rushhour jobs resume abc234"]
