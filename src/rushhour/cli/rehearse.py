"""`rushhour rehearse`: Monday's crowd on Friday, pipelines side by side, on simulated providers."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from rushhour.cli.loop import run
from rushhour.cli.writable import check_writable
from rushhour.errors import InvalidRequest

if TYPE_CHECKING:
    from rushhour.rehearse.play import Cast
    from rushhour.rehearse.results import Rehearsal
    from rushhour.rehearse.scenario import Scenario
    from rushhour.rehearse.slo import Demand

SLO_MISSED = 3
"""The exit status of a rehearsal that came to its end and missed an objective."""


def rehearse(
    users: Annotated[int | None, typer.Option(help="How many users ask.", show_default="the scenario's")] = None,
    over: Annotated[
        str | None, typer.Option(help="Time within which they all come: 5s, 500ms, 2m.", show_default="the scenario's")
    ] = None,
    scenario: Annotated[
        str, typer.Option(help="Which Monday to play; `list` shows them.", metavar="NAME|FILE.toml")
    ] = "monday",
    pipelines: Annotated[
        str | None,
        typer.Option(
            help="Which to compare, separated by commas: naive, sdk, production.", show_default="naive,production"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Rehearse an OpenAI-compatible app of yours: its base URL.", metavar="URL", show_default=False
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask that app for.", show_default=False)] = None,
    api_key: Annotated[str, typer.Option(help="The key that its users send.")] = "crowd",
    provider_port: Annotated[
        int, typer.Option(help="Where that app finds the simulated provider.", min=0, max=65_535)
    ] = 8100,
    wait: Annotated[str, typer.Option(help="How long to wait until that app is up.")] = "30s",
    questions: Annotated[
        Path | None,
        typer.Option(
            help="Questions for that app, one a line; after a tab, what an answer must quote.", show_default=False
        ),
    ] = None,
    slo: Annotated[
        str | None,
        typer.Option(help="Objectives; missing one ends with status 3.", metavar="'answered>=99.9%,p95<=20s'"),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures as JSON to this file.", show_default=False)
    ] = None,
    report: Annotated[Path, typer.Option(help="Write the report, one HTML page, to this file.")] = Path(
        "rehearsal.html"
    ),
    seed: Annotated[
        int | None, typer.Option(help="The same seed plays the same Monday.", show_default="the scenario's, 1")
    ] = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Play production on virtual time, without sockets: a million users.")
    ] = False,
    replicas: Annotated[
        int, typer.Option(help="With --virtual: how many replicas share the provider’s limits.", min=1)
    ] = 1,
    list_them: Annotated[bool, typer.Option("--list", help="Show the scenarios and end.")] = False,
) -> None:
    """Rehearse a rush hour: a crowd asks the naive pipeline, then rushhour; the report shows how each fared.

    Everything runs on this machine against simulated providers: no key, no cost, a minute and a half.

    Examples:
      rushhour rehearse --users 1000 --over 5s --json figures.json --report monday.html

      rushhour rehearse --scenario flaky --pipelines naive,sdk,production

      rushhour rehearse --scenario my-monday.toml --slo 'answered>=99.9%,p95<=20s,errors<=0'

      rushhour rehearse --virtual --replicas 16 --users 1000000 --over 6h

      rushhour rehearse --target http://127.0.0.1:9000/v1 --model my-app
    """
    from rushhour.rehearse.scenario_file import find_scenario

    if list_them or scenario == "list":
        _list()
        return
    _check_installed()
    from rushhour.rehearse.durations import parse_duration
    from rushhour.rehearse.scenario import change
    from rushhour.rehearse.slo import parse_slo

    played = change(
        find_scenario(scenario), users=users, over_s=parse_duration(over, "--over") if over else None, seed=seed
    )
    demands = parse_slo(slo) if slo is not None else ()
    if virtual:
        _check_virtual(pipelines, target)
    elif replicas != 1:
        raise InvalidRequest("--replicas is for --virtual: sockets are rehearsed with one server.", param="--replicas")
    cast = _cast(
        pipelines or ("production" if virtual else None), target, model, api_key, provider_port, wait, questions
    )
    report, json = report.resolve(), json.resolve() if json else None
    for file in filter(None, (json, report)):
        check_writable(file)
    from rushhour.rehearse.virtual.loop import run_rehearsal

    start = run_rehearsal if virtual else run
    try:
        told = start(_rehearse(played, cast, demands, json, report, Console(), replicas if virtual else None))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    if told.slo is not None and not told.slo.held:
        raise typer.Exit(SLO_MISSED)


def _cast(
    pipelines: str | None,
    target: str | None,
    model: str | None,
    api_key: str,
    provider_port: int,
    wait: str,
    questions: Path | None,
) -> Cast:
    """Read who plays; raises InvalidRequest, naming the option."""
    from rushhour.rehearse.durations import parse_duration
    from rushhour.rehearse.pipelines import USUAL, pipelines_of
    from rushhour.rehearse.play import Cast
    from rushhour.rehearse.prepare import read_questions
    from rushhour.rehearse.target import App

    if target is None:
        for option, value in (("--model", model), ("--questions", questions)):
            if value is not None:
                raise InvalidRequest(f"{option} is for an app of your own; name it with --target URL.", param=option)
        return Cast(pipelines_of(pipelines) if pipelines is not None else USUAL)
    if model is None:
        raise InvalidRequest("--target needs --model: the name that the app expects in a request.", param="--model")
    own = read_questions(questions) if questions else ()
    judged = any(question.gold for question in own)
    app = App(target.rstrip("/"), model, api_key, parse_duration(wait, "--wait"), judged)
    return Cast(pipelines_of(pipelines) if pipelines is not None else (), app, provider_port, own)


async def _rehearse(
    scenario: Scenario,
    cast: Cast,
    demands: Sequence[Demand],
    json: Path | None,
    report: Path,
    console: Console,
    replicas: int | None,
) -> Rehearsal:
    """Play it, on virtual time with so many `replicas`, and write what came of it."""
    from rushhour.rehearse.live import Terminal, print_result
    from rushhour.rehearse.play import Play
    from rushhour.rehearse.report import write_report
    from rushhour.rehearse.results import write_json
    from rushhour.rehearse.slo import judged
    from rushhour.rehearse.virtual.play import VirtualPlay

    folder = Path(tempfile.mkdtemp(prefix="rushhour-rehearsal-"))
    _stop_on_sigterm()
    finished = False
    with Terminal(console) as terminal:
        command = _command(scenario, cast, demands, replicas)
        play: Play | VirtualPlay
        if replicas is not None:
            play = VirtualPlay(scenario, folder, terminal, command, replicas)
        else:
            play = Play(scenario, folder, terminal, command, cast)
        try:
            await play.play()
            finished = True
        finally:  # interrupted or failed: what is known by now is written, and marked partial
            rehearsal = judged(play.report(), demands)
            await asyncio.to_thread(write_report, report, rehearsal)
            if json is not None:
                await asyncio.to_thread(write_json, json, rehearsal)
            if not finished:
                console.print(f"Partial report: {report} · logs: {folder}", highlight=False, soft_wrap=True)
    print_result(console, rehearsal, [file for file in (report, json) if file is not None])
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return rehearsal


def _list() -> None:
    from rushhour.rehearse.listing import print_scenarios

    print_scenarios(Console())


def _command(scenario: Scenario, cast: Cast, demands: Sequence[Demand], replicas: int | None = None) -> str:
    """Write what repeats this rehearsal; keys and files of questions are left to whoever has them."""
    words = ["rushhour", "rehearse", "--scenario", scenario.source or scenario.name, "--users", str(scenario.users)]
    if scenario.arrivals != "burst":
        words += ["--over", f"{scenario.over_s:g}s"]
    words += ["--seed", str(scenario.seed)]
    if cast.app is not None:
        words += ["--target", cast.app.base_url, "--model", cast.app.model]
    if replicas is not None:
        words += ["--virtual", "--replicas", str(replicas)]
    elif cast.pipelines and (cast.app is not None or tuple(cast.pipelines) != ("naive", "production")):
        words += ["--pipelines", ",".join(cast.pipelines)]
    if demands:
        words += ["--slo", ",".join(demand.text for demand in demands)]
    return shlex.join(words)


def _check_virtual(pipelines: str | None, target: str | None) -> None:
    """Refuse what cannot be played on virtual time."""
    if target is not None:
        raise InvalidRequest("--target is an app on real time; leave --virtual out.", param="--virtual")
    if pipelines is not None and pipelines.strip() != "production":
        raise InvalidRequest(
            "--virtual plays production only: the others are made of threads and of the official SDK's sockets. "
            "Leave --pipelines out.",
            param="--pipelines",
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
