"""The report: one HTML page that tells the story to someone who sees only it.

Self-contained: the plots are inline SVG, there is no script, no font and no image to fetch, light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from rushhour.rehearse import figures
from rushhour.rehearse import report_limits as limits
from rushhour.rehearse import report_sections as sections
from rushhour.rehearse.limit_words import holder
from rushhour.rehearse.report_cards import card
from rushhour.rehearse.report_next import next_steps
from rushhour.rehearse.report_table import Row, table
from rushhour.rehearse.report_timeline import timeline
from rushhour.rehearse.results import Ingestion, Rehearsal, Run
from rushhour.rehearse.story import headline, lead, story, verdict
from rushhour.rehearse.words import dollars, megabytes, ratio, seconds

_PIPELINES = {
    "naive": (
        '<b class="naive">naive</b> is retrieval-augmented generation as tutorials write it: for each request a new '
        "client of the official SDK with its retries off, one embedding call, one vector query, one chat call; no "
        "limits; an error goes to the user."
    ),
    "sdk": (
        '<b class="sdk">sdk</b> is the same with what careful people change: one shared client with the official SDK’s '
        "own retries (two, waiting as the provider asks), and one shared session for the vector store."
    ),
    "production": '<b class="production">production</b> is the real <code>rushhour serve</code> process.',
    "target": (
        '<b class="target">target</b> is an app of somebody’s own, pointed at the simulated provider. Its process was '
        "not measured, and an answer counts as right when it is whole, unless the question came with what to quote."
    ),
}


def write_report(path: Path, rehearsal: Rehearsal) -> None:
    """Write the page."""
    path.write_text(render_report(rehearsal), encoding="utf-8")


def render_report(rehearsal: Rehearsal) -> str:
    """Return the page as HTML."""
    here = resources.files("rushhour.rehearse")
    title = verdict(rehearsal)
    return Template((here / "report.html").read_text("utf-8")).substitute(
        title=escape(f"rushhour rehearsal: {title}"),
        style=(here / "report.css").read_text("utf-8"),
        partial=" · <b>interrupted, partial</b>" if rehearsal.partial else "",
        scenario=escape(f"{rehearsal.scenario}, {headline(rehearsal)}"),
        headline=escape(title),
        lead=_headline(rehearsal),
        next_steps=next_steps(rehearsal),
        story="".join(f"<p>{escape(sentence)}</p>" for sentence in story(rehearsal)),
        timeline=timeline(rehearsal),
        cards="".join(card(run, rehearsal) for run in rehearsal.runs),
        ceiling=limits.ceiling(rehearsal),
        legend=figures.legend(rehearsal),
        answers=figures.twice(figures.answers_over_time(rehearsal), figures.answers_over_time(rehearsal, True)),
        provider_section=_provider(rehearsal),
        outcomes=figures.outcomes(rehearsal),
        waiting=figures.twice(figures.waiting(rehearsal), figures.waiting(rehearsal, True)),
        objectives=sections.objectives(rehearsal),
        troubles=sections.troubles(rehearsal),
        second_visits=sections.second_visits(rehearsal),
        tenants=sections.tenants(rehearsal),
        manners=sections.manners(rehearsal),
        disclosed=sections.disclosed(rehearsal),
        compared=_compared(rehearsal),
        effort=_effort(rehearsal),
        ingestion_section=_ingestion(rehearsal),
        floor=limits.floor(rehearsal),
        command=escape(rehearsal.command),
        settings=_settings(rehearsal),
        footer=_footer(rehearsal),
    )


def _headline(rehearsal: Rehearsal) -> str:
    """Put before a manager who was answered, how long they waited, and what it cost."""
    told = [*lead(rehearsal)]
    if rehearsal.runs and rehearsal.floor.bound != "arrivals":
        closed = rehearsal.floor.closed_s
        one = rehearsal.floor.slots in (None, 1)
        down = f", and the {closed:g} s in which it was down, keep" if closed else " keeps" if one else " keep"
        told.append(
            f"Whatever software asks, {holder(rehearsal.floor)}{down} the last {'generated ' if closed else ''}answer "
            f"from coming before {seconds(rehearsal.floor_s)}."
        )
    return f'<p class="lead">{escape(" ".join(told))}</p>' if told else ""


def _provider(rehearsal: Rehearsal) -> str:
    drawn = figures.provider_view(rehearsal)
    if not drawn:
        return ""
    return (
        "<section><h2>What the provider saw</h2><p>Chat calls arriving each second: served in the pipeline’s colour, "
        "failed by the provider in grey, refused with 429 in pale red; seconds in which many were "
        f"refused are shaded.{limits.dashed(rehearsal)}</p>{drawn}</section>"
    )


def _effort(rehearsal: Rehearsal) -> str:
    rows: list[Row[Run]] = [
        ("embedding calls", lambda run: f"{run.provider_calls.embeddings:,}", False),
        ("embedding calls for each right answer", lambda run: ratio(run.embeddings_per_answer), False),
        ("vector store calls", lambda run: f"{run.provider_calls.vectors:,}", False),
        ("chat calls", lambda run: f"{run.provider_calls.chat:,}", False),
        ("calls refused with 429", lambda run: f"{run.throttled:,}", False),
        ("connections opened to the provider", lambda run: f"{run.connections:,}", False),
        ("tokens", lambda run: f"{run.tokens:,}", False),
        ("charged in all", lambda run: dollars(run.cost_usd), False),
        ("charged for 1,000 right answers", lambda run: dollars(run.cost_per_answer_usd, 1000), True),
        ("CPU of the pipeline’s process", lambda run: seconds(run.cpu_s), False),
        ("CPU for each right answer", _milliseconds, True),
        ("largest memory of that process", lambda run: megabytes(run.peak_rss_mb), False),
    ]
    return table(rehearsal.runs, rows, lambda run: run.pipeline)


def _milliseconds(run: Run) -> str:
    return f"{1000 * run.cpu_s / run.answered:.1f} ms" if run.answered and run.cpu_s is not None else "–"


def _ingestion(rehearsal: Rehearsal) -> str:
    if not rehearsal.ingestion:
        return ""
    rows: list[Row[Ingestion]] = [
        ("time", lambda side: seconds(side.seconds), False),
        ("chunks", lambda side: f"{side.chunks:,}", False),
        ("chunks lost on the way", lambda side: f"{side.lost:,}", False),
        ("embedding calls", lambda side: f"{side.embedding_calls:,}", False),
        ("vector store calls", lambda side: f"{side.vector_calls:,}", False),
        ("calls refused with 429", lambda side: f"{side.throttled:,}", False),
        ("charged", lambda side: dollars(side.cost_usd), False),
        ("CPU", lambda side: seconds(side.cpu_s), False),
    ]
    filled = table(rehearsal.ingestion, rows, lambda side: side.pipeline)
    naive = next((side for side in rehearsal.ingestion if side.at_once), None)
    hand = (
        f" So that nobody waits too long, naive runs {naive.at_once} of its loops side by side here; tutorials run one."
        if naive
        else ""
    )
    size = rehearsal.corpus.get("characters", 0)
    return (
        "<section><h2>Filling the vector store</h2><p>The same text, Python’s language reference "
        f"({size:,} characters), by one embedding and one upsert a chunk (naive), and in batches that survive "
        "failures (production)."
        f"{hand}</p>{filled}</section>"
    )


def _compared(rehearsal: Rehearsal) -> str:
    told = [_PIPELINES[run.pipeline] for run in rehearsal.runs if run.pipeline in _PIPELINES]
    return "".join(f"<p>{text}</p>" for text in told) + (
        "<p>All were asked the same questions by the same users at the same moments, over HTTP, against the same "
        "simulated provider, one after the other.</p>"
    )


def _settings(rehearsal: Rehearsal) -> str:
    groups = (rehearsal.settings, rehearsal.provider, rehearsal.corpus, rehearsal.machine)
    tables = "".join(f"<table><tbody>{_rows(group)}</tbody></table>" for group in groups if group)
    return f'<div class="settings">{tables}</div>'


def _rows(group: Mapping[str, object]) -> str:
    return "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(_value(value))}</td></tr>"
        for name, value in group.items()
    )


def _value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000 else str(value)


def _footer(rehearsal: Rehearsal) -> str:
    made = datetime.fromtimestamp(rehearsal.made_at, UTC).strftime("%-d %B %Y, %H:%M UTC")
    late = max((run.crowd_late_p99_s for run in rehearsal.runs), default=0.0)
    return (
        f"Made by rushhour {escape(rehearsal.version)} on {made}, in {rehearsal.wall_s:.0f} s. The crowd is a process "
        "of its own and never waits for an answer before the next user comes; it sent 99 % of its questions within "
        f"{1000 * late:.0f} ms of their time. The providers are simulated on this machine: no key, no cost."
    )
