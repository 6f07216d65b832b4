"""`rushhour ingest`: documents into a collection, with a progress bar and an honest summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call
from rushhour.rag.ingest_report import Outcome, Summary
from rushhour.rag.ingest_report import Progress as Step

if TYPE_CHECKING:
    from rushhour.rag.fetch import Fetcher
    from rushhour.rag.sources import Source

PYTHON_MANUAL = "python-manual"
STANDARD_INPUT = "-"
_LISTED = 20


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, zip archives, URLs, or - for standard input: "
            ".txt .md .rst .html .pdf .docx .epub .csv .json .jsonl and source code.",
            show_default=False,
        ),
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Where they go; made if it does not exist.", show_default=False)
    ] = "",
    python_manual: Annotated[
        bool, typer.Option("--python-manual", help="Ingest the language reference that every Python carries.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            help="What to pass over in folders and archives, as in a .gitignore; can be repeated.",
            metavar="PATTERN",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="What standard input is called; its ending is the format.", show_default=False)
    ] = "",
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch URLs of this machine and the local network too.")
    ] = False,
) -> None:
    """Read documents into a collection. Doing it again costs nothing: only what is new is embedded.

    Examples:
      rushhour ingest docs/ handbook.pdf --collection handbook

      rushhour ingest https://example.com/guide.html backup.zip --collection handbook

      pandoc notes.odt -t markdown | rushhour ingest - --name notes.md --collection handbook

      rushhour ingest --python-manual
    """
    if not paths and not python_manual:
        raise InvalidRequest("Nothing to ingest: name files or folders, or say --python-manual.")
    if paths and python_manual:
        raise InvalidRequest("Either files or --python-manual, not both: they are different collections.")
    if paths and not collection:
        raise InvalidRequest("Which collection? Say --collection NAME; it is made if it does not exist.")
    if paths and bool(name) != (STANDARD_INPUT in paths):
        raise InvalidRequest("Standard input and its name belong together: rushhour ingest - --name notes.md")
    console = Console(highlight=False)
    asked = _Asked(tuple(dict.fromkeys(paths or ())), tuple(ignore or ()), name, allow_private)
    summary = run(_ingest(collection or PYTHON_MANUAL, asked, console))
    _show(summary, console)
    if not summary.complete:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be ingested: without `paths`, the manual."""

    paths: Sequence[str]
    ignore: Sequence[str]
    name: str
    allow_private: bool

    def sources(self, fetcher: Fetcher) -> Iterator[Source]:
        """Yield the documents, in the order given."""
        from rushhour.rag.fetch import is_url
        from rushhour.rag.sources import files_from, piped, python_manual

        if not self.paths:
            yield from python_manual()
        for path in self.paths:
            if path == STANDARD_INPUT:
                yield from piped(self.name, sys.stdin.buffer, self.ignore)
            elif is_url(path):
                yield fetcher.source(path)
            else:
                yield from files_from([Path(path)], self.ignore)


async def _ingest(collection: str, asked: _Asked, console: Console) -> Summary:
    from rushhour import settings
    from rushhour.assemble import assemble
    from rushhour.rag.fetch import Fetcher

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[file]}[/]"),
        console=console,
        transient=True,
    )
    async with assemble(settings.load()) as system, Fetcher(allow_private=asked.allow_private) as fetcher:
        with bar:
            files = bar.add_task("files", total=None, file="")
            chunks = bar.add_task("chunks", total=None, file="")

            def follow(step: Step) -> None:
                bar.update(files, completed=step.files, total=step.files_total, file=escape(step.file))
                bar.update(chunks, completed=step.embedded, total=step.chunks)

            return await system.ingester.ingest(collection, asked.sources(fetcher), Call("shell"), follow)


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
