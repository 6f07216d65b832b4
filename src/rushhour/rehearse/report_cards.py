"""The cards at the top of the report: what a pipeline did, each figure beside its floor."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rushhour.rehearse.results import Rehearsal, Run
from rushhour.rehearse.words import dollars, seconds, share


def card(run: Run, rehearsal: Rehearsal) -> str:
    """Return one pipeline's card."""
    failed = sum(run.errors.values())
    facts = [
        *(_answered_within(run, rehearsal, percent) for percent in (50, 95, 99)),
        ("first word, median", seconds(run.first_word_p50_s), "–"),
        ("99 % done after", seconds(run.done_99_s), seconds(rehearsal.floor_s)),
        ("the last one after", seconds(run.makespan_s), seconds(rehearsal.floor_s)),
        ("saw an error", f"{failed:,}", "0"),
        ("wrong answers", f"{run.wrong:,}", "0"),
        *_obeyed(run),
        ("the provider’s 429s", f"{run.throttled:,}", "0"),
        ("1,000 answers cost", dollars(run.cost_per_answer_usd, 1000), "–"),
    ]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td><td>{escape(floor)}</td></tr>'
        for name, value, floor in facts
    )
    partial = ' <span class="badge">interrupted</span>' if run.partial else ""
    name = escape(run.pipeline)
    return (
        f'<div class="card {name}"><h3>{name}{partial}</h3><p class="big">{run.answered:,}</p>'
        f'<p class="of">of {rehearsal.users:,} users answered rightly · {share(run.answered, rehearsal.users)}</p>'
        f'<table><caption class="spoken">Figures of {name}, each beside its floor</caption><thead><tr><th></th>'
        f'<th scope="col">measured</th><th scope="col">floor</th></tr></thead><tbody>{rows}</tbody></table>'
        f"{_less_than_asked(run)}</div>"
    )


def _answered_within(run: Run, rehearsal: Rehearsal, percent: int) -> tuple[str, str, str]:
    """Compare the time within which a part of all users was answered with what the provider's limit asks at least."""

    def told(waits: Sequence[float | None]) -> str:
        if percent >= len(waits):
            return "–"
        wait = waits[percent]
        return "never" if wait is None else seconds(wait)

    part = "half of all" if percent == 50 else f"{percent} % of all"
    return f"{part} answered within", told(run.served_within_s), told(rehearsal.floor.waits_s)


def _less_than_asked(run: Run) -> str:
    """Explain how a run can be faster than the floor."""
    if not run.degraded:
        return ""
    number = sum(run.degraded.values())
    return (
        f'<p class="aside">{number:,} of the answers are less than was asked for, and say so; those that need no chat '
        "call can come before the floor.</p>"
    )


def _obeyed(run: Run) -> list[tuple[str, str, str]]:
    """Tell whether an honest refusal kept its word: who came back when told, and was answered then."""
    if not run.refused_first:
        return []
    again = run.returned
    return [
        ("refused at first", f"{run.refused_first:,}", "–"),
        ("came back, and answered", f"{again.answered:,} of {again.users:,}", f"{again.users:,}"),
    ]
