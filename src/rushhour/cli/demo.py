"""`rushhour demo`: the main job, end to end, in under three minutes and without a key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.rule import Rule

from rushhour.cli.ask import ask
from rushhour.cli.ingest import PYTHON_MANUAL, ingest
from rushhour.cli.rehearse import rehearse

QUESTION = "what does the with statement do?"


def demo(
    report: Annotated[Path, typer.Option(help="Where the rehearsal's report goes.")] = Path("rehearsal.html"),
) -> None:
    """Ingest Python's manual, ask it a question, rehearse Monday morning.

    Example:  rushhour demo
    """
    console = Console(highlight=False)
    _step(console, 1, "Ingest Python's language reference, with the embedding model on this machine")
    ingest(paths=None, collection="", python_manual=True)
    _step(console, 2, f"Ask it: {QUESTION}")
    ask(QUESTION, PYTHON_MANUAL, timeout=60.0)
    _step(console, 3, "Rehearse Monday morning: a thousand users in five seconds, on simulated providers")
    rehearse(users=None, over=None, scenario="monday", json=None, report=report, seed=None)
    _step(console, 4, "What now")
    console.print(f"Look at the report      [bold]{report.resolve()}[/]", soft_wrap=True)
    console.print(f"Serve what was ingested [bold]{_command('serve')}[/]   then open http://127.0.0.1:8000")
    console.print(f"Ingest your own         [bold]{_command('ingest PATH… --collection NAME')}[/]", soft_wrap=True)


def _step(console: Console, number: int, what: str) -> None:
    console.print()
    console.print(Rule(f"[bold]{number}[/] · {what}", align="left", style="dim"))
    console.print()


def _command(arguments: str) -> str:
    """Name the program by the path that works from here."""
    script = Path(".venv/bin/rushhour")
    return f"{script if script.exists() else 'rushhour'} {arguments}"
