"""A plan as one HTML page, dressed as the report of a rehearsal: self-contained, light and dark, to be forwarded."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from rushhour.rehearse.charts import Plot, nice_ticks
from rushhour.rehearse.figures import NARROW, twice
from rushhour.rehearse.planning.levers import NO_WALL
from rushhour.rehearse.planning.plan import Plan
from rushhour.rehearse.planning.simulate import Simulated
from rushhour.rehearse.planning.spans import floor, rate, span, used
from rushhour.rehearse.planning.verdict import dollars, goal, headline, money, size_told, verdict
from rushhour.rehearse.report_table import Row, table
from rushhour.rehearse.words import share

_WORDS = {"over_s": "within (s)", "patience_s": "patience (s)", "per_day": "questions a day"}


def write_page(path: Path, plan: Plan) -> None:
    """Write the page."""
    path.write_text(render_page(plan), encoding="utf-8")


def render_page(plan: Plan) -> str:
    """Return the page as HTML."""
    template = (resources.files("rushhour.rehearse.planning") / "plan.html").read_text("utf-8")
    lead = " ".join(verdict(plan)[:2])
    model = f", {plan.model}" if plan.model else ""
    return Template(template).substitute(
        title=escape(f"rushhour plan: {headline(plan)}"),
        style=(resources.files("rushhour.rehearse") / "report.css").read_text("utf-8"),
        provider=escape(f"profile {plan.profile}{model}"),
        headline=escape(headline(plan)),
        lead=f'<p class="lead">{escape(lead)}</p>',
        facts=_facts(plan),
        limits=_limits(plan),
        waits=_waits(plan),
        levers=_levers(plan),
        within=_within(plan),
        money=escape(money(plan.cost)),
        cost=_cost(plan),
        command=escape(plan.command),
        traffic=_traffic(plan),
        footer=_footer(plan),
    )


def _facts(plan: Plan) -> str:
    over_s = plan.traffic["over_s"]
    first = plan.limits[0]
    if plan.holds:
        facts = [("wall", "the floor, whatever software asks", floor(plan.floor_s, over_s), f"the wall is {first.key}")]
    else:
        facts = [("", "of the tightest limit in use", used(first.used), f"{first.key}: nobody waits for it")]
    if (seen := plan.simulated) is not None:
        told = f"{share(seen.answered, seen.users)} answered, {share(seen.refused, seen.users)} refused at first"
        facts.append(("", "95 % of those answered within", span(seen.p95_s), told))
    per = "a day" if plan.cost.per == "day" else "this rush"
    asked = f"{plan.cost.questions:,} questions" if plan.cost.total_usd is not None else "some prices are unknown"
    facts.append(("", f"cost of {per}", dollars(plan.cost.total_usd), asked))
    return "".join(
        f'<div class="fact {colour}"><h3>{escape(name)}</h3><p '
        f'class="big">{escape(value)}</p><p>{escape(told)}</p></div>'
        for colour, name, value, told in facts
    )


def _limits(plan: Plan) -> str:
    rows = ""
    for n, wall in enumerate(plan.limits):
        strong = " class=strong" if n == 0 and plan.holds else ""
        until = floor(wall.floor_s, plan.traffic["over_s"])
        cells = (
            escape(wall.key),
            until,
            _meter(wall.used),
            used(wall.used),
            rate(wall.allows_per_s),
            escape(wall.limit),
        )
        rows += f"<tr{strong}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return _table(("limit", "floor", "the peak uses", "", "lets pass", "says"), rows, " class=says")


def _meter(part: float | None) -> str:
    if part is None:
        return ""
    over = " over" if part > 1 else ""
    return f'<span class="meter{over}" aria-hidden="true"><i style="width:{100 * min(part, 1):.0f}%"></i></span>'


def _waits(plan: Plan) -> str:
    seen = plan.simulated
    if seen is None:
        return ""
    rows: list[Row[Simulated]] = [
        ("answered", lambda one: f"{one.answered:,} ({share(one.answered, one.users)})", True),
        ("half of those within", lambda one: span(one.p50_s), False),
        ("90 % within", lambda one: span(one.p90_s), False),
        ("95 % within", lambda one: span(one.p95_s), False),
        ("99 % within", lambda one: span(one.p99_s), False),
        ("the longest wait", lambda one: span(one.max_s), False),
        ("refused at first, and told when to come back", lambda one: f"{one.refused:,}", False),
        ("… came back then, and answered", lambda one: f"{one.served_later:,} of {one.came_back:,}", False),
        ("got less than asked, to save tokens", lambda one: f"{one.reduced:,}", False),
        ("got quotations, without the chat model", lambda one: f"{one.quoted:,}", False),
    ]
    return (
        "<section><h2>How long people wait</h2><p>Rushhour’s own engine against a simulation of this provider, on "
        f"virtual time: {escape(size_told(seen))}, played in {span(seen.wall_s)}.{_left_out(plan)} The curve is the "
        "share of all users who "
        f"had an answer within a time.</p>{twice(_curve(seen, 980), _curve(seen, NARROW))}"
        f"{table([seen], rows, lambda _: 'rehearsed')}</section>"
    )


def _left_out(plan: Plan) -> str:
    repeats = plan.traffic["repeats"]
    return f" The {repeats:.0%} who repeat a question are left out: they wait no longer." if repeats else ""


def _curve(seen: Simulated, width: float) -> str:
    points = [(wait, float(percent)) for percent, wait in enumerate(seen.curve) if wait is not None]
    high = max((wait for wait, _ in points), default=1.0)
    plot = Plot(
        "Share of all users who had an answer within a time",
        nice_ticks(max(high, 0.1), 8 if width > NARROW else 4),
        [0, 20, 40, 60, 80, 100],
        width=width,
        height=300,
        right=24,
        x_unit="seconds since the user came",
        y_unit="users answered",
        y_suffix=" %",
    )
    plot.axes()
    if len(points) > 1:
        plot.area(points, "waits")
        plot.line(points, "waits")
    for percent in (50, 95):
        wait = seen.curve[percent]
        if wait is not None:
            left = plot.x(wait) > plot.left + 150
            plot.dot(wait, percent, "waits")
            plot.word(
                wait, percent, f"{percent} % within {span(wait)}", "waits", "end" if left else "start",
                lift=9 if left else -5, shift=-4 if left else 10,
            )  # fmt: skip
    return plot.svg()


def _levers(plan: Plan) -> str:
    rows = ""
    for lever in plan.levers:
        dim = " class=dim" if plan.holds and lever.saves_s <= 0 else ""
        wall = lever.wall if lever.wall != NO_WALL else "–"
        until = floor(lever.floor_s, plan.traffic["over_s"])
        cells = (escape(lever.change), f"<b>{until}</b>", used(lever.used), wall, escape(lever.how))
        rows += f"<tr{dim}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return _table(("change", "floor", "used", "the wall then", "how"), rows, " class=says")


def _within(plan: Plan) -> str:
    within = plan.within
    if within is None or within.kept:
        return ""
    ways = "".join(f"<li>{escape(way)}</li>" for way in within.ways)
    return (
        f"<section><h2>{escape(goal(within))}</h2><p>Any one of these does, by arithmetic:</p><ul>{ways}</ul></section>"
    )


def _cost(plan: Plan) -> str:
    cost = plan.cost
    parts = (
        ("embedding the questions", cost.embeddings_usd),
        ("prompts", cost.chat_in_usd),
        ("cached parts of prompts", cost.chat_cached_usd),
        ("answers", cost.chat_out_usd),
        ("in all", cost.total_usd),
        ("the same, were nothing reused", cost.every_one_usd),
    )
    rows = "".join(
        f"<tr{' class=strong' if name == 'in all' else ''}><td>{name}</td><td></td><td>{dollars(part)}</td></tr>"
        for name, part in parts
    )
    return _table(("", "", f"{cost.questions:,} questions"), rows)


def _traffic(plan: Plan) -> str:
    rows = "".join(
        f"<tr><td>{escape(_WORDS.get(name, name.replace('_', ' ')))}</td><td>{_value(value)}</td></tr>"
        for name, value in plan.traffic.items()
        if value is not None
    )
    return f'<div class="settings"><table><tbody>{rows}</tbody></table></div>'


def _value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else escape(str(value))


def _table(names: tuple[str, ...], rows: str, kind: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _footer(plan: Plan) -> str:
    made = datetime.fromtimestamp(plan.made_at, UTC).strftime("%-d %B %Y, %H:%M UTC")
    return (
        f"Made by rushhour {escape(plan.version)} on {made}. The limits and prices are the profile’s: compare them "
        "with "
        "your provider’s own. No call was made, nothing was spent."
    )
