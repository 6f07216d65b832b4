"""Watching an ingestion: a bar for the files, a bar for the chunks, gone when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from rushhour.rag.ingestion.ingest_report import Progress


@contextmanager
def following(console: Console, chunks: str = "chunks") -> Iterator[Callable[[Progress], None]]:
    """Show what the yielded function is told; `chunks` names the second bar."""
    with bars(console) as shown:
        files_bar = shown.add_task("files", total=None, file="")
        chunks_bar = shown.add_task(chunks, total=None, file="")

        def follow(step: Progress) -> None:
            shown.update(files_bar, completed=step.files, total=step.files_total, file=escape(step.file))
            shown.update(chunks_bar, completed=step.embedded, total=step.chunks)

        yield follow


def bars(console: Console) -> Bars:
    """Return an empty stack of progress bars; tasks have a field `file`."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[file]}[/]"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
