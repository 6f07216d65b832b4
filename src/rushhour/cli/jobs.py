"""`rushhour jobs`: ingestions that ran, are running or were interrupted; what became of each file; going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rushhour.cli.job_run import run_to_the_end
from rushhour.cli.loop import run
from rushhour.cli.words import age, count, why

if TYPE_CHECKING:
    from rushhour.catalog.job_contract import Job, JobFile

jobs = typer.Typer(rich_markup_mode="rich")

Ident = Annotated[str, typer.Argument(metavar="ID", help="As rushhour jobs lists it.", show_default=False)]

_STYLES = {"done": "green", "running": "cyan", "queued": "dim", "failed": "red", "interrupted": "yellow"}


@jobs.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Only those of one collection.", show_default=False)
    ] = "",
) -> None:
    """List the ingestions, the newest first; look into one, go on with it, try its parked files again.

    Examples:
      rushhour jobs

      rushhour jobs show k3x9ab

      rushhour jobs resume k3x9ab
    """
    if context.invoked_subcommand is None:
        _show_all(run(_jobs(collection)), Console(highlight=False))


@jobs.command()
def show(
    ident: Ident,
    every: Annotated[
        bool, typer.Option("--all", help="List every file, not only those with something to say.")
    ] = False,
) -> None:
    """Say what a job was asked, how far it is, what it cost, and why files failed.

    Example:  rushhour jobs show k3x9ab --all
    """
    job, files = run(_job(ident))
    _show_one(job, files if every else [file for file in files if file.reason], Console(highlight=False))


@jobs.command()
def resume(ident: Ident) -> None:
    """Go on with a job that was interrupted or given up; nothing is read, embedded or paid for twice.

    Example:  rushhour jobs resume k3x9ab
    """
    run_to_the_end(lambda system: system.jobs.job(ident), Console(highlight=False))


@jobs.command()
def retry(ident: Ident) -> None:
    """Try the files again that a job has parked, after mending what kept them from being read.

    Example:  rushhour jobs retry k3x9ab
    """
    run_to_the_end(lambda system: system.jobs.job(ident), Console(highlight=False), retry=True)


@jobs.command()
def forget(ident: Ident) -> None:
    """Forget a job that is not running; what it ingested stays in its collection.

    Example:  rushhour jobs forget k3x9ab
    """
    run(_forget(ident))
    Console(highlight=False).print(f"job [bold]{escape(ident)}[/] is forgotten")


async def _jobs(collection: str) -> list[Job]:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        return await system.jobs.jobs(collection or None)


async def _job(ident: str) -> tuple[Job, list[JobFile]]:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        return await system.jobs.job(ident), await system.jobs.files(ident)


async def _forget(ident: str) -> None:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        await system.jobs.forget(ident)


def _show_all(listed: list[Job], console: Console) -> None:
    if not listed:
        console.print("There are no jobs. Start one:  [bold]rushhour ingest PATH… --collection NAME[/]")
        return
    table = Table("id", "collection", "state", box=None, header_style="bold")
    for title in ("files", "failed", "age"):
        table.add_column(title, justify="right")
    for job in listed:
        troubled = job.failed + job.parked
        table.add_row(
            job.id,
            escape(job.collection),
            _state(job),
            f"{job.done + job.parked}/{job.files}",
            f"[red]{troubled}[/]" if troubled else "0",
            age(job.created),
        )
    console.print(table)


def _show_one(job: Job, files: list[JobFile], console: Console) -> None:
    from rushhour.rag.documents.asked import Asked

    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    asked = Asked.from_json(job.asked)
    table.add_row("job", job.id)
    table.add_row("collection", escape(job.collection))
    table.add_row("asked", escape(asked.shown))
    table.add_row("state", _state(job) + (f": {escape(job.reason)}" if job.reason else ""))
    table.add_row("age", age(job.created))
    table.add_row("files", f"{job.done} of {job.files} done, {job.waiting + job.failed} to do, {job.parked} parked")
    paid = f", {job.tokens:,} tokens" if job.tokens else ""
    cost = f", ${job.cost_usd:.6f}" if job.cost_usd else ""
    table.add_row("chunks", f"{job.chunks:,} visible, {job.embedded:,} embedded{paid}{cost}")
    console.print(table, soft_wrap=True)
    for file in files:
        style = "red" if file.state in ("failed", "parked") else "dim"
        tries = f" (tried {file.attempts} times)" if file.attempts > 1 else ""
        what = file.outcome if file.state == "done" else file.state
        told = why(file.name, file.reason) if file.reason else f"{file.name}, {count(file.chunks, 'chunk')}"
        console.print(f"[{style}]{what}[/] {escape(told)}{tries}", soft_wrap=True)
    if job.state in ("interrupted", "failed"):
        console.print(f"go on with:  [bold]rushhour jobs resume {job.id}[/]")
    elif job.parked:
        console.print(f"try the parked files again with:  [bold]rushhour jobs retry {job.id}[/]")


def _state(job: Job) -> str:
    return f"[{_STYLES[job.state]}]{job.state}[/]"
