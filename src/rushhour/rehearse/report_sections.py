"""Sections of the report that only some rehearsals have: objectives, troubles, second visits, tenants, manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from rushhour.rehearse.report_table import Row, table
from rushhour.rehearse.results import Rehearsal, Returned, Run, TenantRun
from rushhour.rehearse.story import window_told
from rushhour.rehearse.words import label_of, seconds, share

_MARKS = {"good": "✓", "note": "·", "bad": "✗"}


def objectives(rehearsal: Rehearsal) -> str:
    """Say of each objective what was measured, and whether it holds."""
    if (slo := rehearsal.slo) is None:
        return ""
    lines = "".join(
        f'<tr class="{"held" if one.held else "missed"}"><td>{escape(one.objective)}</td><td>{escape(one.shown)}</td>'
        f"<td>{'held' if one.held else 'missed'}</td></tr>"
        for one in slo.objectives
    )
    told = "All of them hold." if slo.held else "Not all of them hold."
    return (
        f"<section><h2>Objectives</h2><p>Demanded of {escape(slo.pipeline or 'a run')}. {told}</p>"
        '<div class="scroll"><table><thead><tr><th>objective</th><th>measured</th><th></th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div></section>"
    )


def troubles(rehearsal: Rehearsal) -> str:
    """List what the provider did wrong, and when."""
    told = [window_told(window) for window in rehearsal.windows]
    for surface, shares in rehearsal.faults.items():
        parts = ", ".join(f"{kind.replace('_', ' ')} {100 * part:g} %" for kind, part in shares.items())
        told.append(f"of the {surface} calls: {parts}")
    if not told:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in told)
    return (
        "<section><h2>What went wrong at the provider</h2><p>On Monday only, beyond the failures of an ordinary day; "
        f"Friday was quiet.</p><ul>{lines}</ul></section>"
    )


def second_visits(rehearsal: Rehearsal) -> str:
    """Tell how those fared who were refused honestly and came again when they were told to."""
    runs = [run for run in rehearsal.runs if run.refused_first]
    if not runs:
        return ""
    rows: list[Row[Run]] = [
        ("refused at the first visit", lambda run: f"{run.refused_first:,}", False),
        ("came again when told", lambda run: f"{run.returned.users:,}", False),
        ("… answered rightly", lambda run: _of(run.returned.answered, run.returned), True),
        ("… refused again", lambda run: _of(run.returned.refused, run.returned), False),
        ("… wrong answer", lambda run: _of(run.returned.wrong, run.returned), False),
        ("… an error", lambda run: _of(sum(run.returned.errors.values()), run.returned), False),
    ]
    return (
        "<section><h2>Refused, then served</h2><p>An honest refusal is a 429 with the time to come back. Users who "
        "obey come again once, just then; everywhere else on this page they count as that second visit ended.</p>"
        f"{table(runs, rows, _name)}</section>"
    )


def tenants(rehearsal: Rehearsal) -> str:
    """Show each tenant's users: a flood should make its own tenant wait, and nobody else."""
    runs = [run for run in rehearsal.runs if run.tenants]
    if not runs:
        return ""
    rows: list[Row[TenantRun]] = [
        ("users", lambda one: f"{one.users:,}{' at once' if one.flooded else ''}", False),
        ("answered rightly", lambda one: f"{one.answered:,} ({share(one.answered, one.users)})", True),
        ("refused at first", lambda one: f"{one.refused_first:,}", False),
        ("errors", lambda one: _errors(one.errors), False),
        ("median wait", lambda one: seconds(one.p50_s), False),
        ("95 % within", lambda one: seconds(one.p95_s), False),
    ]
    tables = "".join(
        f'<h3 class="{run.pipeline}">{escape(run.pipeline)}</h3>{table(run.tenants, rows, lambda one: one.tenant)}'
        for run in runs
    )
    return (
        "<section><h2>Tenants</h2><p>Whoever floods should wait behind himself: the others’ waits are what to look "
        f"at.</p>{tables}</section>"
    )


def manners(rehearsal: Rehearsal) -> str:
    """Repeat what the simulated provider found about each client, and say whether it was a bottleneck itself."""
    told = [(run, run.verdict) for run in rehearsal.runs if run.verdict]
    if not told:
        return ""
    lines = "".join(
        f'<h3 class="{run.pipeline}">{escape(run.pipeline)}</h3><ul class="manners">{_findings(verdict)}</ul>'
        for run, verdict in told
    )
    rows: list[Row[Run]] = [
        ("of a core, on average", lambda run: f"{100 * run.simulator.cpu_share:.0f} %", False),
        ("of a core, in its busiest two seconds", lambda run: f"{100 * run.simulator.busiest:.0f} %", False),
        ("a call of the rehearsal’s own waited (99 %)", lambda run: _late(run.simulator.late_p99_s), False),
        ("may have been the bottleneck", lambda run: "yes" if run.simulator.bottleneck else "no", True),
    ]
    return (
        f"<section><h2>What the provider says of its clients</h2>{lines}<h3>And of itself</h3><p>The simulated "
        "provider is one process. Where it ran out of its core, waits are this machine’s as well as the provider’s.</p>"
        f"{table(rehearsal.runs, rows, _name)}</section>"
    )


def disclosed(rehearsal: Rehearsal) -> str:
    """Show the settings with which each pipeline of ours ran."""
    told = {name: settings for name, settings in rehearsal.pipelines.items() if settings}
    if not told:
        return ""
    tables = "".join(
        f"<h3>{escape(name)}</h3><table><tbody>"
        + "".join(f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in settings.items())
        + "</tbody></table>"
        for name, settings in told.items()
    )
    return (
        "<p>Settings of production: passages are as long and as many as those of naive, and no answer is reused, so "
        f"that each user’s is generated.</p>{tables}"
    )


def _findings(verdict: Mapping[str, object]) -> str:
    lines = verdict.get("lines")
    found: Sequence[Mapping[str, object]] = lines if isinstance(lines, list) else []
    return "".join(
        f'<li class="{escape(str(line.get("severity")))}">{_MARKS.get(str(line.get("severity")), "·")} '
        f"{escape(str(line.get('text')))}</li>"
        for line in found
    )


def _errors(errors: Mapping[str, int]) -> str:
    if not errors:
        return "0"
    kind, number = max(errors.items(), key=lambda item: item[1])
    return f"{sum(errors.values()):,} (most: {label_of(kind)}, {number:,})"


def _of(part: int, again: Returned) -> str:
    return f"{part:,} ({share(part, again.users)})"


def _late(seconds_late: float | None) -> str:
    return "–" if seconds_late is None else f"{1000 * seconds_late:.0f} ms"


def _name(run: Run) -> str:
    return run.pipeline
