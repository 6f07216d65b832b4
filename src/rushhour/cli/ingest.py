"""`rushhour ingest`: documents into a collection, as a job that can be interrupted and resumed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.console import Console

from rushhour.cli.following import following
from rushhour.cli.ingest_account import show_plan
from rushhour.cli.job_run import run_to_the_end
from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest

if TYPE_CHECKING:
    from rushhour.rag.documents.asked import Asked
    from rushhour.rag.jobs.plan import Plan

PYTHON_MANUAL = "python-manual"
STANDARD_INPUT = "-"
_OTHER_SCHEME = re.compile(r"(?!https?://)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


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
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep files that are gone from a folder or archive ingested again.")
    ] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            help="What these documents are, for filters: team=billing; can be repeated.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be embedded, removed and paid; write nothing.")
    ] = False,
) -> None:
    """Read documents into a collection. Doing it again costs nothing: only what is new is embedded.

    What is ingested again becomes as it is now: files that are gone from a folder leave the collection too. If it is
    interrupted, the same command goes on where it was; rushhour jobs tells how far it is.

    Examples:
      rushhour ingest docs/ handbook.pdf --collection handbook

      rushhour ingest https://example.com/guide.html backup.zip --collection handbook

      pandoc notes.odt -t markdown | rushhour ingest - --name notes.md --collection handbook

      rushhour ingest docs/ --collection handbook --ignore 'drafts/' --dry-run

      rushhour ingest billing/ --collection handbook --metadata team=billing --metadata year=2026

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
    for path in paths or ():
        _check(path)
    from rushhour.rag.documents.asked import Asked
    from rushhour.rag.documents.metadata import read_metadata

    console = Console(highlight=False)
    into = collection or PYTHON_MANUAL
    asked = Asked(
        tuple(dict.fromkeys(paths or ())),
        tuple(ignore or ()),
        name,
        allow_private,
        keep_missing,
        metadata=read_metadata(metadata or ()),
    )
    if dry_run:
        show_plan(_plan(into, asked, console), console)
        return
    run_to_the_end(lambda system: system.jobs.create(into, asked, _piped(asked)), console)


def _check(path: str) -> None:
    if not path:
        raise InvalidRequest('A path is empty; was a variable not set? For the folder you are in say ".".')
    if _OTHER_SCHEME.match(path) and not Path(path).exists():
        raise InvalidRequest(
            f"{path} cannot be fetched: only http:// and https:// can. Fetch it first, or name a file."
        )


def _plan(collection: str, asked: Asked, console: Console) -> Plan:
    async def go() -> Plan:
        from rushhour import settings
        from rushhour.assemble import assemble

        async with assemble(settings.load()) as system:
            with following(console, "to embed") as follow:
                return await system.jobs.plan(collection, asked, follow, _piped(asked))

    return run(go())


def _piped(asked: Asked) -> BinaryIO | None:
    return sys.stdin.buffer if STANDARD_INPUT in asked.paths else None
