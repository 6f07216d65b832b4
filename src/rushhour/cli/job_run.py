"""Running a job from the shell: its id at once, a bar, an account, and how to go on if it is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import typer
from rich.console import Console

from rushhour.cli.following import following
from rushhour.cli.ingest_account import show_summary
from rushhour.cli.loop import run
from rushhour.cli.words import count
from rushhour.flow.call import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rushhour.assemble import System
    from rushhour.catalog.job_contract import Job
    from rushhour.rag.ingestion.ingest_report import Summary

Find: TypeAlias = "Callable[[System], Awaitable[Job]]"
"""What finds the job that is to be run, or makes it."""

_ENDED: Final = {"interrupted": "interrupted", "failed": "given up"}


def run_to_the_end(find: Find, console: Console, *, retry: bool = False) -> None:
    """Run a job, or retry what it has parked; exit with status 1 unless all of it is visible now, 130 on Ctrl-C."""
    found: list[Job] = []

    async def go() -> tuple[Summary, Job]:
        from rushhour import settings
        from rushhour.assemble import assemble

        async with assemble(settings.load()) as system:
            job = await find(system)
            found.append(job)
            console.print(_beginning(job, retry=retry), soft_wrap=True)
            with following(console) as follow:
                work = system.jobs.retry if retry else system.jobs.run
                summary = await work(job.id, Call("shell"), follow)
            return summary, await system.jobs.job(job.id)

    try:
        summary, job = run(go())
    except KeyboardInterrupt:
        if not found:
            raise
        console.print(f"interrupted; go on with:  [bold]rushhour jobs resume {found[0].id}[/]")
        raise typer.Exit(130) from None
    show_summary(summary, job, console)
    if retry and (gone := found[0].parked - summary.files) > 0:
        console.print(
            f"[yellow]gone[/] {count(gone, 'parked file')} can no longer be found, and will not be tried again"
        )
    if not summary.complete:
        raise typer.Exit(1)


def _beginning(job: Job, *, retry: bool) -> str:
    if retry and job.parked:
        return f"job [bold]{job.id}[/]: trying {count(job.parked, 'parked file')} again"
    if job.began and job.state in ("interrupted", "failed"):
        settled = f"{job.done + job.parked:,} of {job.files:,} files settled"
        return f"resuming job [bold]{job.id}[/], which was {_ENDED[job.state]}: {settled}"
    return f"job [bold]{job.id}[/]"
