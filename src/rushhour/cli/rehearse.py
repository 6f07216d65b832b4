"""`rushhour rehearse`: Monday's crowd on Friday, the naive pipeline and ours side by side, on simulated providers."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
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
    _check_installed()
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
    try:
        run(_rehearse(played, json, report, Console()))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


async def _rehearse(scenario: Scenario, json: Path | None, report: Path, console: Console) -> None:
    from rushhour.rehearse.live import Terminal, print_result
    from rushhour.rehearse.play import Play
    from rushhour.rehearse.report import write_report
    from rushhour.rehearse.results import write_json

    folder = Path(tempfile.mkdtemp(prefix="rushhour-rehearsal-"))
    _stop_on_sigterm()
    finished = False
    with Terminal(console) as terminal:
        play = Play(scenario, folder, terminal, _command(scenario))
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


def _command(scenario: Scenario) -> str:
    """Write what repeats this rehearsal."""
    return (
        f"rushhour rehearse --scenario {scenario.name} --users {scenario.users} --over {scenario.over_s:g}s "
        f"--seed {scenario.seed}"
    )


def _stop_on_sigterm() -> None:
    """End as on Ctrl-C: children stopped, a partial report written."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _check_installed() -> None:
    missing = [name for name in ("openai", "psutil") if find_spec(name) is None]
    if missing:
        raise InvalidRequest(
            f"The rehearsal needs {' and '.join(missing)}; install them with:  pip install 'rushhour[rehearse]'"
        )


def _check_writable(file: Path) -> None:
    """Say now, not after a minute and a half, that a result could not be written."""
    try:
        with file.open("ab"):
            pass
        if file.stat().st_size == 0:
            file.unlink()
    except OSError as cause:
        raise InvalidRequest(f"Cannot write {file}: {cause.strerror}. Name a file in a folder that exists.") from cause
