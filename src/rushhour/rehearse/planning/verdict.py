"""A plan in a few sentences, each from its figures."""

from __future__ import annotations

from rushhour.rehearse.planning.cost import Cost
from rushhour.rehearse.planning.plan import Plan
from rushhour.rehearse.planning.simulate import Simulated
from rushhour.rehearse.planning.spans import rate, span, used
from rushhour.rehearse.planning.within import Within
from rushhour.rehearse.words import share


def headline(plan: Plan) -> str:
    """Say in one line how it will be."""
    if plan.holds:
        return f"{plan.peak}: {plan.wall} are the wall, and the last answer takes {span(plan.floor_s)} whoever asks"
    return f"{plan.peak}: no limit of the provider is in the way"


def verdict(plan: Plan) -> list[str]:
    """Tell the wall, the wait, what moves them, and the cost."""
    told = [_wall(plan), _waits(plan), _mover(plan), _within(plan), money(plan.cost)]
    return [sentence for sentence in told if sentence]


def _wall(plan: Plan) -> str:
    first = plan.limits[0]
    if not plan.holds:
        part = "" if first.used is None else f", of which the peak uses {used(first.used)}"
        return (
            f"No limit is a wall. The tightest is {first.key} ({first.limit}), which lets {rate(first.allows_per_s)} "
            f"pass{part}."
        )
    told = (
        f"The wall is {first.key}: {first.limit} lets {rate(first.allows_per_s)} pass, so the peak takes at least "
        f"{span(plan.floor_s)}, whatever software asks."
    )
    return told if _own_server(plan) else f"{told} What is sent beyond it is refused with 429."


def _own_server(plan: Plan) -> bool:
    return any(wall.key == "chat slots" for wall in plan.limits)


def _waits(plan: Plan) -> str:
    seen = plan.simulated
    if seen is None:
        return ""
    left_out = plan.traffic["repeats"]
    who = f"Rehearsed with {size_told(seen)}"
    who += f" (the {left_out:.0%} who repeat a question wait no longer)" if left_out else ""
    told = f"{who}: {share(seen.answered, seen.users)} answered"
    if seen.p50_s is not None:
        told += f", half of them within {span(seen.p50_s)}, 95 % within {span(seen.p95_s)}, the last {span(seen.max_s)}"
    told += "; nobody refused." if not seen.refused else f". {_refused(seen, plan)}"
    if seen.reduced:
        told += f" {share(seen.reduced, seen.users)} got fewer passages or a shorter answer to save tokens in the rush."
    if seen.quoted:
        told += f" {share(seen.quoted, seen.users)} got quotations: the chat model was not to be reached in time."
    return told


def _refused(seen: Simulated, plan: Plan) -> str:
    told = (
        f"With a patience of {span(plan.traffic['patience_s'])}, {share(seen.refused, seen.users)} are told at once "
        "when "
        "to come back"
    )
    if seen.came_back:
        told += f"; {share(seen.served_later, seen.came_back)} of those who did were answered then"
    return f"{told}."


def size_told(seen: Simulated) -> str:
    """Say how much of the peak was played."""
    part = "" if seen.scale == 1 else f" against {seen.scale:.2%} of the limits"
    return f"{seen.users:,} users in {span(seen.over_s)}{part}"


def _mover(plan: Plan) -> str:
    if not plan.holds:
        return ""
    helping = [lever for lever in plan.levers if lever.saves_s > 0.01 * plan.floor_s]
    if not helping:
        return "None of the usual changes moves the wall by itself."
    best = helping[0]
    told = f"What moves it most: {best.change}, to {span(best.floor_s)}"
    cheapest = next((lever for lever in helping if lever.kind in ("repeats", "prompt", "max_tokens")), None)
    if cheapest is not None and cheapest is not best:
        told += f"; and with this provider: {cheapest.change}, to {span(cheapest.floor_s)}"
    whose = "the model server's" if _own_server(plan) else "the provider's"
    return f"{told}. More replicas of rushhour do not help: the limit is {whose}."


def _within(plan: Plan) -> str:
    if plan.within is None or plan.within.kept:
        return ""
    return f"{goal(plan.within)}, any one of: {'; or '.join(plan.within.ways)}."


def goal(within: Within) -> str:
    """Say what was to be reached."""
    what = "For nobody to wait longer for a limit than" if within.waits else "To be done within"
    return f"{what} {span(within.seconds)}"


def money(cost: Cost) -> str:
    """Tell the cost, or which prices are missing."""
    what = f"{cost.questions:,} questions{' a day' if cost.per == 'day' else ''}"
    if cost.total_usd is None or cost.every_one_usd is None:
        return f"The cost of {what} is unknown: give {', '.join(cost.unknown)} ($ for 1M tokens)."
    told = f"{what[0].upper()}{what[1:]} cost {dollars(cost.total_usd)}"
    if cost.every_one_usd > cost.total_usd:
        told += f"; {dollars(cost.every_one_usd)} if each were embedded and answered anew"
    return f"{told}. What retries pay twice is not in it: `rushhour rehearse --pipelines naive,production` shows it."


def dollars(value: float | None) -> str:
    """Write an amount of money; a dash for what is not known."""
    if value is None:
        return "–"
    if not value:
        return "$0"
    return f"${value:,.0f}" if value >= 1_000 else f"${value:,.2f}" if value >= 0.1 else f"${value:.4f}"
