"""A plan in the terminal: what the limits allow, how long people wait, what would move it, the cost, the verdict."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rushhour.rehearse.planning.levers import NO_WALL
from rushhour.rehearse.planning.plan import Plan
from rushhour.rehearse.planning.simulate import Simulated
from rushhour.rehearse.planning.spans import floor, rate, span, used
from rushhour.rehearse.planning.verdict import dollars, size_told, verdict
from rushhour.rehearse.words import share


def print_plan(console: Console, plan: Plan) -> None:
    """Print all of it."""
    console.print(_limits(plan))
    if plan.simulated is not None:
        console.print(_waits(plan.simulated))
    console.print(_levers(plan))
    console.print(_cost(plan))
    console.print()
    for sentence in verdict(plan):
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    console.print()


def _limits(plan: Plan) -> Table:
    model = f", {plan.model}" if plan.model else ""
    table = _table(f"{plan.peak}; profile {plan.profile}{model}", "limit", "says", "lets pass", "used", "floor")
    for n, wall in enumerate(plan.limits):
        wall_here = n == 0 and plan.holds
        name = f"{wall.key}{' ← the wall' if wall_here else ''}"
        until = floor(wall.floor_s, plan.traffic["over_s"])
        table.add_row(
            name, wall.limit, rate(wall.allows_per_s), used(wall.used), until, style="bold" if wall_here else ""
        )
    return table


def _waits(seen: Simulated) -> Table:
    names = ("answered", "p50", "p90", "p95", "p99", "longest", "refused at first", "… answered later")
    table = _table(f"Rehearsed on virtual time: {size_told(seen)}, in {span(seen.wall_s)}", *names)
    later = f"{seen.served_later:,} of {seen.came_back:,}" if seen.refused else "–"
    waits = [span(wait) for wait in (seen.p50_s, seen.p90_s, seen.p95_s, seen.p99_s, seen.max_s)]
    table.add_row(share(seen.answered, seen.users), *waits, share(seen.refused, seen.users), later)
    return table


def _levers(plan: Plan) -> Table:
    table = _table("What would move it, each alone", "change", "floor", "used", "the wall then, and how")
    for lever in plan.levers:
        style = "dim" if plan.holds and lever.saves_s <= 0 else ""
        until = floor(lever.floor_s, plan.traffic["over_s"])
        wall = f"{lever.wall}; " if lever.wall != NO_WALL else ""
        table.add_row(lever.change, until, used(lever.used), escape(f"{wall}{lever.how}"), style=style)
    return table


def _cost(plan: Plan) -> Table:
    cost = plan.cost
    per = "a day" if cost.per == "day" else "this rush"
    names = ("embeddings", "prompts", "cached prompts", "answers", "in all", "nothing reused")
    table = _table(f"Cost of {cost.questions:,} questions, {per}", *names)
    parts = (cost.embeddings_usd, cost.chat_in_usd, cost.chat_cached_usd, cost.chat_out_usd, cost.total_usd)
    table.add_row(*(dollars(part) for part in (*parts, cost.every_one_usd)))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column not in ("limit", "says", "change", "the wall then, and how") else "left"
        )
    return table
