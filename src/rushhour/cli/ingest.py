"""`rushhour ingest`: documents into a collection, with a progress bar and an honest summary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call
from rushhour.rag.ingest_report import Outcome, Summary
from rushhour.rag.ingest_report import Progress as Step

PYTHON_MANUAL = "python-manual"
_LISTED = 20


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders: .txt .md .html .pdf", show_default=False)
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Where they go; made if it does not exist.", show_default=False)
    ] = "",
    python_manual: Annotated[
        bool, typer.Option("--python-manual", help="Ingest the language reference that every Python carries.")
    ] = False,
) -> None:
    """Read documents into a collection. Doing it again costs nothing: only what is new is embedded.

    Examples:
      rushhour ingest docs/ handbook.pdf --collection handbook

      rushhour ingest --python-manual
    """
    if not paths and not python_manual:
        raise InvalidRequest("Nothing to ingest: name files or folders, or say --python-manual.")
    if paths and python_manual:
        raise InvalidRequest("Either files or --python-manual, not both: they are different collections.")
    if paths and not collection:
        raise InvalidRequest("Which collection? Say --collection NAME; it is made if it does not exist.")
    console = Console(highlight=False)
    summary = run(_ingest(collection or PYTHON_MANUAL, paths, console))
    _show(summary, console)
    if not summary.complete:
        raise typer.Exit(1)


async def _ingest(collection: str, paths: Iterable[Path] | None, console: Console) -> Summary:
    from rushhour import settings
    from rushhour.assemble import assemble
    from rushhour.rag.sources import files_from, python_manual

    sources = files_from(paths) if paths else python_manual()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[file]}[/]"),
        console=console,
        transient=True,
    )
    async with assemble(settings.load()) as system:
        with bar:
            files = bar.add_task("files", total=None, file="")
            chunks = bar.add_task("chunks", total=None, file="")

            def follow(step: Step) -> None:
                bar.update(files, completed=step.files, total=step.files_total, file=escape(step.file))
                bar.update(chunks, completed=step.embedded, total=step.chunks)

            return await system.ingester.ingest(collection, sources, Call("shell"), follow)


def _show(summary: Summary, console: Console) -> None:
    files = ", ".join(
        f"{count} {what}"
        for count, what in (
            (summary.new, "new"),
            (summary.changed, "changed"),
            (summary.unchanged, "unchanged"),
            (summary.skipped, "skipped"),
            (len(summary.failed), "failed"),
            (summary.not_tried, "not tried"),
        )
        if count
    )
    console.print(f"[bold]{escape(summary.collection)}[/]: {summary.files} files ({files or 'none found'})")
    paid = f", {summary.tokens:,} tokens" if summary.tokens else ""
    cost = f", ${summary.cost_usd:.6f}" if summary.cost_usd else ""
    console.print(
        f"{summary.chunks} chunks visible, {summary.embedded} embedded{paid}{cost}, "
        f"{summary.deleted} deleted, in {summary.seconds:.1f} s"
    )
    if summary.given_up:
        console.print(f"[red]given up:[/] {escape(summary.given_up)}", soft_wrap=True)
    _list("red", "failed", [f"{one.name}: {one.reason}" for one in summary.failed], console)
    _list("yellow", "skipped", [f"{one.name}: {one.reason}" for one in summary.with_outcome(Outcome.SKIPPED)], console)
    well = summary.with_outcome(Outcome.NEW, Outcome.CHANGED)
    _list("yellow", "note", [f"{one.name}: {one.reason}" for one in well if one.reason], console)


def _list(style: str, what: str, lines: list[str], console: Console) -> None:
    for line in lines[:_LISTED]:
        console.print(f"[{style}]{what}[/] {escape(line)}", soft_wrap=True)
    if len(lines) > _LISTED:
        console.print(f"[{style}]… and {len(lines) - _LISTED} more {what}[/]")
