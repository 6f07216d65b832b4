"""`rushhour ingest`: documents into a collection, with a progress bar and an honest summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest

PYTHON_MANUAL = "python-manual"


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders: .txt .md .html .pdf", show_default=False)
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Where they go; made if it does not exist.")
    ] = "",
    python_manual: Annotated[
        bool, typer.Option("--python-manual", help="Ingest the language reference that every Python carries.")
    ] = False,
) -> None:
    """Read documents into a collection. Doing it again costs nothing: only what is new is embedded.

    Example:  rushhour ingest docs/ handbook.pdf --collection handbook
    """
    if not paths and not python_manual:
        raise InvalidRequest("Nothing to ingest: name files or folders, or say --python-manual.")
    if paths and python_manual:
        raise InvalidRequest("Either files or --python-manual, not both: they are different collections.")
    if paths and not collection:
        raise InvalidRequest("Which collection? Say --collection NAME; it is made if it does not exist.")
    name = collection or PYTHON_MANUAL
    if not run(ingest_into(name, paths or [], Console(highlight=False))):
        raise typer.Exit(1)
