"""What to do next: advice that follows from the figures by rules, each naming the figure that it rests on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html import escape

from rushhour.errors import InvalidRequest
from rushhour.rehearse.limit_words import holder, no_obstacle, pace
from rushhour.rehearse.report_advice import OWN, RULES, Advice, Kind
from rushhour.rehearse.results import Objective, Rehearsal, Run
from rushhour.rehearse.slo import parse_slo
from rushhour.rehearse.words import seconds

_NEAR = 1.25
"""So many times the floor is what an answer's own time explains."""
_SECONDS = {"s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0}
_LATE_S = 0.25
_OWN_CORE = 0.6
"""A process that has work and gets less than this share of a core is kept from it by others."""
_MARKS: dict[Kind, str] = {"act": "→", "care": "!", "good": "✓"}
_SAID: dict[Kind, str] = {"act": "To do", "care": "Read with care", "good": "Good"}


def next_steps(rehearsal: Rehearsal) -> str:
    """Return the section."""
    lines = "".join(
        f'<li class="{one.kind}"><span aria-hidden="true">{_MARKS[one.kind]}</span><div><span class="spoken">'
        f"{_SAID[one.kind]}: </span>{escape(one.text)}{f'<code>{escape(one.command)}</code>' if one.command else ''}"
        "</div></li>"
        for one in advice(rehearsal)
    )
    return f'<section class="next"><h2>What to do next</h2><ul>{lines}</ul></section>'


def advice(rehearsal: Rehearsal) -> list[Advice]:
    """Return what follows from the figures: first what spoils them, then what to mend, then what is well."""
    found = [*_doubts(rehearsal), *_missed(rehearsal)]
    for run in sorted(rehearsal.runs, key=lambda run: run.pipeline not in OWN):
        for rule in RULES:
            found += rule(run, rehearsal)
        if run is focus(rehearsal):
            found += _wall(rehearsal)
    if rehearsal.runs and not any(one.kind == "act" for one in found):
        found.append(_harder(rehearsal))
    return found or [Advice("care", "Nothing was measured, so nothing follows. Rehearse again.", rehearsal.command)]


def focus(rehearsal: Rehearsal) -> Run | None:
    """Return the run that the reader can act on: his own app's, or production's, or the last."""
    runs = {run.pipeline: run for run in rehearsal.runs}
    return runs.get("target") or runs.get("production") or (rehearsal.runs[-1] if rehearsal.runs else None)


def _doubts(rehearsal: Rehearsal) -> Iterator[Advice]:
    if rehearsal.partial and rehearsal.runs:
        yield Advice("care", "The rehearsal was interrupted: decide nothing from these figures. Rehearse again.")
    held = [run.pipeline for run in rehearsal.runs if run.simulator.bottleneck]
    if held:
        yield Advice(
            "care",
            f"The simulated provider was a bottleneck itself while {' and '.join(held)} played: those waits are this "
            "machine’s too. Rehearse again with nothing else on it, with fewer users, or on virtual time.",
            _on_virtual_time(rehearsal.command) if held == ["production"] else "",
        )
    yield from filter(None, (_starved(run, rehearsal) for run in rehearsal.runs))
    late = max((run.crowd_late_p99_s for run in rehearsal.runs), default=0.0)
    if late > _LATE_S:
        yield Advice(
            "care",
            f"The crowd itself was up to {seconds(late)} late: this machine was busy with something else. The waits "
            "count from when users were due, so they are the machine’s too.",
        )


def _on_virtual_time(command: str) -> str:
    """Return what plays the same for production alone; nothing where that cannot be: an app's own time is real."""
    words = shlex.split(command)
    if not words or "--target" in words:
        return ""
    if "--pipelines" in words:
        chosen = words.index("--pipelines")
        del words[chosen : chosen + 2]
    return shlex.join([*words, "--virtual"])


def _starved(run: Run, rehearsal: Rehearsal) -> Advice | None:
    """Doubt a tutorial's pipeline whose users' first calls, one embedding each, stayed in a process without CPU."""
    unseen = rehearsal.users - run.provider_calls.embeddings
    if run.pipeline in OWN or run.partial or unseen < rehearsal.users / 4 or run.cpu_s is None:
        return None
    if run.cpu_s > _OWN_CORE * run.makespan_s:  # it had a core, and used it up by itself
        return None
    return Advice(
        "care",
        f"{unseen:,} first calls of {run.pipeline} never reached the provider: its process got {seconds(run.cpu_s)} "
        "of CPU "
        f"in {seconds(run.makespan_s)}, since this machine was busy with other work. Rehearse again with nothing else "
        "running before quoting its figures.",
    )


def _missed(rehearsal: Rehearsal) -> Iterator[Advice]:
    for one in rehearsal.slo.objectives if rehearsal.slo else ():
        if not one.held and rehearsal.slo is not None:
            told = f"{rehearsal.slo.pipeline or 'Nothing that ran'} misses {one.objective}{_by(one)}"
            yield Advice("act", f"{told}.{_out_of_reach(one, rehearsal)}")


def _by(one: Objective) -> str:
    """Say by how much an objective was missed."""
    if one.measured is None:
        return ": nothing was measured"
    try:
        (demand,) = parse_slo(one.objective)
    except InvalidRequest:
        return f": measured were {one.shown}"
    scale = _SECONDS.get(demand.unit, 1.0)
    by = abs(one.measured - demand.bound * scale)
    unit = {"%": " points", "x": " × the floor", "": "", "$": " dollars", "usd": " dollars"}.get(demand.unit, " s")
    return f" by {by:,.3g}{unit}: measured {'was' if demand.unit else 'were'} {one.shown}"


def _out_of_reach(one: Objective, rehearsal: Rehearsal) -> str:
    """Say of an objective that no software can reach it, where that is so."""
    waits = rehearsal.floor.waits_s
    least = {f"p{percent}": waits[percent] for percent in (50, 95, 99) if percent < len(waits)}
    least |= {"makespan": rehearsal.floor_s}
    try:
        (demand,) = parse_slo(one.objective)
    except InvalidRequest:
        return ""
    floor, scale = least.get(demand.name), _SECONDS.get(demand.unit)
    if floor is None or scale is None or not demand.sign.startswith("<") or floor <= demand.bound * scale:
        return ""
    slots = rehearsal.floor.slots
    held_by = "this limit" if slots is None else f"so few slots ({slots:,})"
    return f" Nobody can keep it with {held_by} while every answer is generated: that alone asks {seconds(floor)}."


def _wall(rehearsal: Rehearsal) -> Iterator[Advice]:
    """Say what the waiting is due to: the provider's limit, or the software before it."""
    run = focus(rehearsal)
    if run is None or run.partial:
        return
    if run.answered < rehearsal.users * 0.9:
        yield from _beyond_the_wall(run, rehearsal)
        return
    if rehearsal.floor.bound == "arrivals":
        yield Advice("good", f"{no_obstacle(rehearsal)} to this crowd: {run.pipeline} answers as users come.")
        return
    if rehearsal.floor.closed_s:
        yield Advice(
            "act",
            f"For {rehearsal.floor.closed_s:g} s no chat call could succeed. Only another provider answers in full "
            "then: "
            "name its model under [[chat.fallbacks]], and rehearse again.",
        )
        return
    times = run.makespan_s / max(rehearsal.floor_s, 1e-9)
    if run.makespan_s <= _NEAR * rehearsal.floor_s + (rehearsal.floor.work_s or 0.0):
        yield Advice(
            "act",
            f"What is left of the waiting is {_due_to(rehearsal)}: {run.pipeline} needed {times:.2f} × the floor of "
            f"{seconds(rehearsal.floor_s)}. See what would move it, and what that costs:",
            plan_command(rehearsal),
        )
    else:
        yield Advice(
            "act",
            f"{run.pipeline} needed {times:.2f} × the floor: {seconds(run.makespan_s - rehearsal.floor_s)} beyond what "
            f"{pace(rehearsal)} impose. The provider’s slow calls and failures, or the pipeline, took them; the charts "
            "show when.",
        )


def _beyond_the_wall(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    """Say what would let in more of a crowd that was mostly sent away, where that is due to the limit alone."""
    due_to_limit = rehearsal.floor.bound != "arrivals" and not rehearsal.floor.closed_s
    if due_to_limit and run.refused > rehearsal.users * 0.1 and run.returned.answered == run.returned.users:
        more = "a higher limit" if rehearsal.floor.slots is None else "more slots"
        yield Advice(
            "act",
            f"{run.refused:,} users were sent away, since at {pace(rehearsal)} all {rehearsal.users:,} take "
            f"{seconds(rehearsal.floor_s)} whoever asks. Only {more}, or answers that are kept, let in more of "
            "them. See what would move it, and what that costs:",
            plan_command(rehearsal),
        )


def _due_to(rehearsal: Rehearsal) -> str:
    """Name what makes users wait."""
    if rehearsal.floor.bound == "slots":
        return f"{holder(rehearsal.floor)}, one of which a call takes for {seconds(rehearsal.floor.work_s)}"
    return f"{holder(rehearsal.floor)} on {rehearsal.floor.bound} a minute"


def plan_command(rehearsal: Rehearsal) -> str:
    """Return the plan that this rehearsal asks for."""
    told = rehearsal.settings
    words = ["rushhour", "plan", "--users", str(rehearsal.users), "--over", f"{told.get('over_s', 0):g}s"]
    words += ["--profile", str(told.get("profile", "monday"))]
    if rehearsal.floor.tokens_per_call:
        words += ["--prompt-tokens", f"{rehearsal.floor.tokens_per_call:.0f}"]
    if rehearsal.floor.slots is not None:  # how long a call takes is how long its answer is
        words += ["--answer-tokens", f"{max(rehearsal.floor.tokens_per_answer, 1):.0f}"]
    if "patience_s" in told:
        words += ["--patience", f"{told['patience_s']:g}s"]
    for change in re.split(r", (?=[a-z_]+\.[a-z_.]+=)", str(told.get("profile changed", ""))):
        words += ["--set", change] if change else []
    return shlex.join(words)


def _harder(rehearsal: Rehearsal) -> Advice:
    run = focus(rehearsal)
    name = run.pipeline if run else ""
    return Advice(
        "good", f"Nothing needs mending for {name} at this load. Rehearse a worse day: an outage, or twice the users."
    )
