"""`rushhour rehearse`: Monday's crowd on Friday, the naive pipeline and ours side by side, on simulated providers."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest

if TYPE_CHECKING:
    from rushhour.rehearse.scenario import Scenario


def rehearse(
    users: Annotated[int | None, typer.Option(help="How many users ask.", show_default="1000")] = None,
    over: Annotated[
        str | None, typer.Option(help="Time within which they all come: 5s, 500ms, 2m.", show_default="5s")
    ] = None,
    scenario: Annotated[str, typer.Option(help="Which Monday to play.")] = "monday",
    json: Annotated[
        Path | None, typer.Option(help="Write the figures as JSON to this file.", show_default=False)
    ] = None,
    report: Annotated[Path, typer.Option(help="Write the report, one HTML page, to this file.")] = Path(
        "rehearsal.html"
    ),
    seed: Annotated[int | None, typer.Option(help="The same seed plays the same Monday.", show_default="1")] = None,
) -> None:
    """Rehearse a rush hour: a crowd asks the naive pipeline, then rushhour; the report shows how each fared.

    Everything runs on this machine against simulated providers: no key, no cost, a minute and a half.

    Example:  rushhour rehearse --users 1000 --over 5s --json figures.json --report monday.html
    """
    from rushhour.rehearse.durations import parse_duration
    from rushhour.rehearse.scenario import change, find_scenario

    played = change(
        find_scenario(scenario),
        users=users,
        over_s=None if over is None else parse_duration(over, "--over"),
        seed=seed,
    )
    report, json = report.resolve(), json.resolve() if json else None
    for file in filter(None, (json, report)):
        _check_writable(file)
    run(_rehearse(played, json, report, Console()))


async def _rehearse(scenario: Scenario, json: Path | None, report: Path, console: Console) -> None:
    from rushhour.rehearse.live import Terminal, print_result
    from rushhour.rehearse.play import Play
    from rushhour.rehearse.report import write_report
    from rushhour.rehearse.results import write_json

    folder = Path(tempfile.mkdtemp(prefix="rushhour-rehearsal-"))
    command = shlex.join(["rushhour", *sys.argv[1:]])
    finished = False
    with Terminal(console) as terminal:
        play = Play(scenario, folder, terminal, command)
        try:
            await play.play()
            finished = True
        finally:  # interrupted or failed: what is known by now is written, and marked partial
            rehearsal = play.report()
            await asyncio.to_thread(write_report, report, rehearsal)
            if json is not None:
                await asyncio.to_thread(write_json, json, rehearsal)
            if not finished:
                console.print(f"Partial report: {report} · logs: {folder}", highlight=False, soft_wrap=True)
    print_result(console, rehearsal, [file for file in (report, json) if file is not None])
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _check_writable(file: Path) -> None:
    """Say now, not after a minute and a half, that a result could not be written."""
    try:
        with file.open("ab"):
            pass
        if file.stat().st_size == 0:
            file.unlink()
    except OSError as cause:
        raise InvalidRequest(f"Cannot write {file}: {cause.strerror}. Name a file in a folder that exists.") from cause
