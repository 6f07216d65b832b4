"""`rushhour plan`: which limit is the wall, how long people will wait, what would move it, what a day costs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from rushhour.cli.writable import check_writable
from rushhour.clock import unix_now

if TYPE_CHECKING:
    from rushhour.rehearse.planning.keys import PlanKeys
    from rushhour.rehearse.planning.plan import Plan
    from rushhour.rehearse.planning.provider import Provider
    from rushhour.rehearse.planning.traffic import Traffic


def plan(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN.toml]", help="A plan's keys; options outrank it.", show_default=False),
    ] = None,
    users: Annotated[int | None, typer.Option(help="How many come in the peak.", show_default=False)] = None,
    over: Annotated[str | None, typer.Option(help="Within how long: 5s, 2m; 0s is at once.", show_default="5s")] = None,
    per_day: Annotated[int | None, typer.Option(help="Questions of a whole day.", show_default=False)] = None,
    peak: Annotated[str | None, typer.Option(help="The peak as a rate: 40/s, 900/min.", show_default=False)] = None,
    peak_for: Annotated[str | None, typer.Option(help="How long that rate lasts.", show_default="5m")] = None,
    peak_hour: Annotated[
        str | None, typer.Option(help="Or the busiest hour's share of the day.", show_default="20%")
    ] = None,
    prompt_tokens: Annotated[int | None, typer.Option(help="Tokens of a whole prompt.", show_default="3000")] = None,
    answer_tokens: Annotated[int | None, typer.Option(help="Tokens of a mean answer.", show_default="250")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="The ceiling that a call asks for, and is charged.", show_default="512")
    ] = None,
    question_tokens: Annotated[int | None, typer.Option(help="Tokens of a question alone.", show_default="25")] = None,
    cached_tokens: Annotated[
        int | None, typer.Option(help="Tokens of each prompt in the provider's cache.", show_default="0")
    ] = None,
    repeats: Annotated[
        str | None, typer.Option(help="Repeated questions: 30%, or zipf:500.", show_default="0%")
    ] = None,
    patience: Annotated[str | None, typer.Option(help="How long a user waits.", show_default="60s")] = None,
    within: Annotated[
        str | None, typer.Option(help="Solve for being done within this.", show_default="the patience")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="The provider's limits.", metavar="NAME|FILE.toml", show_default="openai-tier-1")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A chat model of that profile.", show_default=False)] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the profile.", metavar="KEY=VALUE")
    ] = None,
    price_in: Annotated[float | None, typer.Option(help="$ for 1M tokens of prompts.", show_default="profile")] = None,
    price_cached_in: Annotated[
        float | None, typer.Option(help="$ for 1M cached tokens of prompts.", show_default="profile")
    ] = None,
    price_out: Annotated[float | None, typer.Option(help="$ for 1M tokens of answers.", show_default="profile")] = None,
    price_embed: Annotated[float | None, typer.Option(help="$ for 1M embedded tokens.", show_default="profile")] = None,
    simulate: Annotated[
        int | None, typer.Option(help="Rehearse at most so many users; 0: arithmetic alone.", show_default="2000")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed rehearses the same.", show_default="1")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the plan as JSON.", show_default=False)] = None,
    report: Annotated[Path | None, typer.Option(help="Write the plan as one HTML page.", show_default=False)] = None,
) -> None:
    """Plan a rush: which limit is the wall, how long people wait, what would move it, and what a day costs.

    The limits are those of a simulator's profile (rushhour simulate --list); the waits come from a rehearsal
    of that very traffic on virtual time. No key, no cost, some seconds.

    Examples:
      rushhour plan --users 1000 --over 5s --profile openai-tier-3

      rushhour plan --per-day 50000 --peak 40/s --prompt-tokens 2500 --max-tokens 400 --repeats 30%

      rushhour plan --per-day 200000 --peak-hour 15% --repeats zipf:2000 --profile openai-tier-2 --within 10s

      rushhour plan --users 300 --over 1m --profile vllm --set chat.latency.slots=32

      rushhour plan monday-plan.toml --report plan.html --json plan.json
    """
    given = {
        "users": users, "over": over, "per_day": per_day, "peak": peak, "peak_for": peak_for, "peak_hour": peak_hour,
        "prompt_tokens": prompt_tokens, "answer_tokens": answer_tokens, "max_tokens": max_tokens,
        "question_tokens": question_tokens, "cached_tokens": cached_tokens, "repeats": repeats, "patience": patience,
        "within": within, "profile": profile, "model": model, "set": overrides, "price_in": price_in,
        "price_cached_in": price_cached_in, "price_out": price_out, "price_embed": price_embed, "simulate": simulate,
        "seed": seed,
    }  # fmt: skip
    from rushhour.rehearse.planning.described import check_call, traffic_of
    from rushhour.rehearse.planning.keys import read_keys
    from rushhour.rehearse.planning.plan import plan_of
    from rushhour.rehearse.planning.provider import Prices, find_provider
    from rushhour.rehearse.planning.shown import print_plan

    keys = read_keys(file, given)
    provider = find_provider(
        keys.profile,
        keys.model,
        keys.set,
        Prices(keys.price_in, keys.price_cached_in, keys.price_out, keys.price_embed),
    )
    traffic = traffic_of(keys)
    check_call(traffic, provider)
    for result in filter(None, (json, report)):
        check_writable(result)
    console = Console()
    made = plan_of(traffic, provider, keys.within)
    if keys.simulate:
        made = _rehearsed(made, traffic, provider, keys, console)
    made = msgspec.structs.replace(made, version=version("rushhour"), made_at=unix_now(), command=_command(file, given))
    print_plan(console, made)
    _write(made, json, report, console)


def _rehearsed(made: Plan, traffic: Traffic, provider: Provider, keys: PlanKeys, console: Console) -> Plan:
    """Play the peak on virtual time."""
    from rushhour.rehearse.live import Terminal
    from rushhour.rehearse.planning.simulate import simulate, size_of
    from rushhour.rehearse.planning.walls import walls_of
    from rushhour.rehearse.virtual.loop import run_rehearsal

    size = size_of(traffic, walls_of(traffic, provider), keys.simulate)
    with Terminal(console) as terminal:
        return msgspec.structs.replace(
            made, simulated=run_rehearsal(simulate(traffic, provider, size, terminal, keys.seed))
        )


def _write(made: Plan, json: Path | None, report: Path | None, console: Console) -> None:
    from rushhour.rehearse.planning.page import write_page
    from rushhour.rehearse.planning.plan import write_plan

    for path, write in ((report, write_page), (json, write_plan)):
        if path is not None:
            write(path, made)
            console.print(f"  Plan: {path}", style="bold", highlight=False, soft_wrap=True)


def _command(file: Path | None, given: Mapping[str, object]) -> str:
    """Write what makes this plan again."""
    words = ["rushhour", "plan", *([str(file)] if file else [])]
    for key, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [f"--{key.replace('_', '-')}", str(one)]
    return shlex.join(words)
