"""The shell door: `rushhour COMMAND`. A new command is one thin file and one line below."""

from __future__ import annotations

import sys

import rushhour.cli.threads  # noqa: F401  # first: it must come before NumPy

# isort: split
import typer
from rich.console import Console

from rushhour.cli.ask import ask
from rushhour.cli.check import check
from rushhour.cli.collections import collections
from rushhour.cli.demo import demo
from rushhour.cli.evaluate import evaluate
from rushhour.cli.ingest import ingest
from rushhour.cli.jobs import jobs
from rushhour.cli.plan import plan
from rushhour.cli.rehearse import rehearse
from rushhour.cli.reindex import reindex
from rushhour.cli.serve import serve
from rushhour.cli.simulate import simulate
from rushhour.errors import RushhourError

app = typer.Typer(
    name="rushhour",
    help="The RAG server that survives Monday morning.",
    epilog="Start with:  rushhour ingest --python-manual  and then  rushhour ask 'what does the with statement do?'",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ingest, ask, serve, check, plan, rehearse, simulate, demo, reindex):
    app.command()(command)
app.command("eval")(evaluate)
for commands, name in ((jobs, "jobs"), (collections, "collections")):
    app.add_typer(commands, name=name)


def main() -> None:
    """Run a command; what goes wrong becomes a message and an exit status, never a traceback."""
    try:
        app()
    except RushhourError as cause:
        Console(stderr=True).print(f"[bold red]error:[/] {_plain(str(cause))}", highlight=False)
        sys.exit(1)
    except SystemExit as ended:
        if _by_ctrl_c(ended):
            Console(stderr=True).print("interrupted")
        raise


def _by_ctrl_c(ended: SystemExit) -> bool:
    """Whether Ctrl-C ended a command that said nothing of it: typer exits with status 130 then, without a word."""
    return ended.__context__ is not None and isinstance(ended.__context__.__cause__, KeyboardInterrupt)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
