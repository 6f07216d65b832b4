"""What is printed when an ingestion, or its dry run, is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

from rushhour.cli.words import count, why
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome

if TYPE_CHECKING:
    from rushhour.catalog.job_contract import Job
    from rushhour.rag.ingestion.ingest_report import Summary
    from rushhour.rag.jobs.plan import Plan

LISTED: Final = 20
"""How many files of a kind are named."""
_COUNTED: Final = (
    Outcome.NEW,
    Outcome.CHANGED,
    Outcome.UNCHANGED,
    Outcome.SKIPPED,
    Outcome.FAILED,
    Outcome.NOT_TRIED,
)


def show_summary(summary: Summary, job: Job, console: Console) -> None:
    """Print what became of the files, what it cost, and what to type where something is left to do."""
    gone = len(summary.removed) - len(summary.renamed)
    console.print(_files(summary.collection, summary.reports, gone, len(summary.renamed)), soft_wrap=True)
    console.print(
        f"{count(summary.chunks, 'chunk')} visible, {summary.embedded:,} embedded"
        f"{_paid(summary.kept, summary.tokens or 0, summary.cost_usd)}, {summary.deleted:,} deleted, "
        f"in {summary.seconds:.1f} s",
        soft_wrap=True,
    )
    renamed = dict(summary.renamed)
    _list("cyan", "renamed", [f"{old} → {new}" for old, new in summary.renamed], console)
    _list("cyan", "removed", [name for name in summary.removed if name not in renamed], console)
    _show_files(summary.reports, console)
    if summary.left_over:
        console.print(
            f"[yellow]left over[/] {count(summary.left_over, 'outdated vector')}: the next ingestion deletes them"
        )
    if summary.given_up:
        console.print(f"[red]given up:[/] {escape(summary.given_up)}", soft_wrap=True)
        console.print(f"go on with:  [bold]rushhour jobs resume {job.id}[/]")
    elif job.parked:
        console.print(f"{count(job.parked, 'file')} parked; try again with:  [bold]rushhour jobs retry {job.id}[/]")


def show_plan(plan: Plan, console: Console) -> None:
    """Print what an ingestion would do and cost."""
    console.print(f"[bold]dry run[/] {_files(plan.collection, plan.reports, len(plan.removed), 0)}", soft_wrap=True)
    console.print(
        f"{count(sum(one.chunks for one in plan.reports), 'chunk')}, {plan.embedded:,} to embed"
        f"{_paid(plan.kept, plan.tokens, plan.cost_usd)}; nothing was written",
        soft_wrap=True,
    )
    _list("cyan", "would remove", list(plan.removed), console)
    _show_files(plan.reports, console)


def _files(collection: str, reports: Sequence[FileReport], removed: int, renamed: int) -> str:
    found = Counter(one.outcome for one in reports)  # once: a pass over a million files takes seconds
    counts = {outcome.value: found[outcome] for outcome in _COUNTED}
    counts |= {"new": counts["new"] - renamed, "renamed": renamed, "removed": removed}
    told = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
    return f"[bold]{escape(collection)}[/]: {count(len(reports), 'file')} ({told or 'none found'})"


def _paid(kept: int, tokens: int, cost_usd: float) -> str:
    paid_before = f" ({kept:,} more had been paid for)" if kept else ""
    counted = f", {tokens:,} tokens" if tokens else ""
    return f"{paid_before}{counted}{f', ${cost_usd:.6f}' if cost_usd else ''}"


def _show_files(reports: Sequence[FileReport], console: Console) -> None:
    for style, what, outcomes in (
        ("red", "failed", (Outcome.FAILED,)),
        ("yellow", "skipped", (Outcome.SKIPPED,)),
        ("yellow", "note", (Outcome.NEW, Outcome.CHANGED)),
    ):
        told = [why(one.name, one.reason) for one in reports if one.outcome in outcomes and one.reason]
        _list(style, what, told, console)


def _list(style: str, what: str, lines: Sequence[str], console: Console) -> None:
    for line in lines[:LISTED]:
        console.print(f"[{style}]{what}[/] {escape(line)}", soft_wrap=True)
    if len(lines) > LISTED:
        console.print(f"[{style}]… and {len(lines) - LISTED} more {what}[/]")
