"""The story that the figures tell, a sentence a fact, for whoever reads nothing else."""

from __future__ import annotations

from rushhour.rehearse.limit_words import allowed, no_obstacle, pace
from rushhour.rehearse.results import Rehearsal, Run, WindowNote
from rushhour.rehearse.words import count, dollars, label_of, listed, ratio, seconds


def headline(rehearsal: Rehearsal) -> str:
    """Say in one line what was played."""
    return f"{_crowd(rehearsal)}{',' if rehearsal.floor.slots is None else ';'} {allowed(rehearsal)}"


def verdict(rehearsal: Rehearsal) -> str:
    """Say in one line how it ended."""
    if not rehearsal.runs:
        return f"{_crowd(rehearsal)}: nothing was measured"
    ends = [
        f"{run.pipeline} answered {'all of them' if run.answered == rehearsal.users else f'{run.answered:,}'}"
        for run in rehearsal.runs
    ]
    return f"{_crowd(rehearsal)}: {', '.join(ends)}"


def lead(rehearsal: Rehearsal) -> list[str]:
    """Say for each pipeline, the best one first, who was answered, how long that took, and what it cost."""
    ranked = sorted(rehearsal.runs, key=lambda run: (-run.answered, run.p95_s or 0.0))
    told = [_lead_of(run, rehearsal) for run in ranked]
    if rehearsal.partial:
        told.append("The rehearsal was interrupted: these figures are partial.")
    return told


def _lead_of(run: Run, rehearsal: Rehearsal) -> str:
    everybody = run.answered == rehearsal.users
    name = f"{run.pipeline[0].upper()}{run.pipeline[1:]}"
    told = f"{name} answered {'everybody' if everybody else f'{run.answered:,} of {rehearsal.users:,} users'}"
    if run.p95_s is not None:
        told += f", 95 % {'' if everybody else 'of those '}within {seconds(run.p95_s)}"
    told += "" if run.cost_per_answer_usd is None else f", for {dollars(run.cost_per_answer_usd, 1000)} a thousand"
    others = []
    if failed := sum(run.errors.values()) + run.wrong:
        others.append(f"{failed:,} got an error or a wrong answer")
    if run.refused:
        others.append(f"{run.refused:,} were told when to come back")
    return f"{told}; {' and '.join(others)}." if others else f"{told}."


def story(rehearsal: Rehearsal) -> list[str]:
    """Tell what happened, from the figures alone."""
    told = [_friday(rehearsal), _weather(rehearsal)]
    told += [_monday(run, rehearsal) for run in rehearsal.runs]
    told.append(_floor(rehearsal))
    told += [_tenants(run) for run in rehearsal.runs]
    pair = {run.pipeline: run for run in rehearsal.runs}
    if {"naive", "production"} <= pair.keys():
        told += _compared(pair["naive"], pair["production"])
    told += [_bottleneck(rehearsal), _slo(rehearsal)]
    if rehearsal.partial:
        told.append("The rehearsal was interrupted: these figures are partial.")
    return [sentence for sentence in told if sentence]


def window_told(window: WindowNote) -> str:
    """Say in words when what goes wrong."""
    until = "on" if window.until_s is None else f"to {window.until_s:g} s"
    return f"{window.label}, from {window.from_s:g} s {until}"


def _crowd(rehearsal: Rehearsal) -> str:
    over = rehearsal.settings.get("over_s", 0)
    return f"{count(rehearsal.users, 'user')} {f'in {over:g} seconds' if over else 'at once'}"


def _friday(rehearsal: Rehearsal) -> str:
    if not rehearsal.friday:
        return ""
    asked = {day.users for day in rehearsal.friday}
    if len(asked) == 1 and all(day.answered == day.users for day in rehearsal.friday):
        few = rehearsal.settings.get("friday_at_once", "a few")
        return (
            f"On Friday, {few} users at a time, every pipeline answered {asked.pop()} of {rehearsal.friday[0].users}."
        )
    told = [f"{day.pipeline} {day.answered} of {day.users}" for day in rehearsal.friday]
    return f"On Friday, a few users at a time, the right answers were: {listed(told)}."


def _weather(rehearsal: Rehearsal) -> str:
    told = [window_told(window) for window in rehearsal.windows]
    shares = {surface: sum(kinds.values()) for surface, kinds in rehearsal.faults.items()}
    told += [f"{share:.1%} of the {surface} calls fail" for surface, share in shares.items()]
    return f"On Monday the provider has troubles: {'; '.join(told)}." if told else ""


def _monday(run: Run, rehearsal: Rehearsal) -> str:
    told = f"On Monday {run.pipeline} answered {run.answered:,} of {rehearsal.users:,} users rightly"
    failed = sum(run.errors.values()) + run.wrong
    if failed:
        kind, number = max([*run.errors.items(), ("a wrong answer", run.wrong)], key=lambda item: item[1])
        told += f"; {failed:,} got nothing they could use, most often: {label_of(kind)} ({number:,})"
    elif run.answered == rehearsal.users:
        told += f", the median within {seconds(run.p50_s)} and 95 % within {seconds(run.p95_s)}; nobody saw an error"
    if run.refused:
        told += f"; {run.refused:,} were told honestly when to come back"
    return f"{told}.{_came_again(run)}{_degraded(run)}{_never_arrived(run, rehearsal)}"


def _came_again(run: Run) -> str:
    if not run.refused_first:
        return ""
    again = run.returned
    told = f" {count(run.refused_first, 'user')} had at first been refused with a time to come back"
    if again.users:
        told += f"; {again.users:,} came again when told, and {again.answered:,} of them were then answered"
    return f"{told}."


def _degraded(run: Run) -> str:
    kinds = [f"{kind.replace('_', ' ')} {number:,}" for kind, number in run.degraded.items()]
    return f" Answers that say they are less than was asked for: {listed(kinds)}." if kinds else ""


def _never_arrived(run: Run, rehearsal: Rehearsal) -> str:
    """Explain timeouts that the provider had no part in: one embedding call a user, and it did not see them all."""
    unseen = rehearsal.users - run.provider_calls.embeddings
    if unseen < rehearsal.users / 10 or "APITimeoutError" not in run.errors or run.cpu_s is None:
        return ""
    why = "a new client for each request kept the process busy for" if run.pipeline == "naive" else "the process took"
    return (
        f" Of their first calls {unseen:,} never reached the provider: {why} {run.cpu_s:.0f} s of CPU, while its own "
        "connections timed out."
    )


def _floor(rehearsal: Rehearsal) -> str:
    least = f"{round(rehearsal.floor_s, 1):g} s"
    if rehearsal.floor.bound == "arrivals":
        told = f"{no_obstacle(rehearsal)}: the users themselves take {least} to come"
    else:
        told = f"At {pace(rehearsal)}, {count(rehearsal.users, 'user')} take {least} whoever asks"
    for run in rehearsal.runs:
        if run.answered == rehearsal.users:
            told += f"; {run.pipeline} had answered 99 % of them after {seconds(run.done_99_s)} and the last one after "
            told += f"{seconds(run.makespan_s)}, {run.makespan_s / max(rehearsal.floor_s, 1e-9):.2f} × that floor"
    return told + "."


def _tenants(run: Run) -> str:
    if not run.tenants:
        return ""
    told = [
        f"{one.tenant}{' (all at once)' if one.flooded else ''} {one.answered:,} of {one.users:,}, 95 % within "
        f"{seconds(one.p95_s)}"
        for one in run.tenants
    ]
    return f"By tenant {run.pipeline} answered {listed(told)}."


def _compared(naive: Run, production: Run) -> list[str]:
    told = []
    if production.embeddings_per_answer is not None and naive.embeddings_per_answer is not None:
        told.append(
            f"For each right answer production made {ratio(production.embeddings_per_answer)} embedding calls and "
            f"used {_cpu_of_an_answer(production)} of CPU; naive made {ratio(naive.embeddings_per_answer)} and used "
            f"{_cpu_of_an_answer(naive)}."
        )
    if production.cost_per_answer_usd is not None and naive.cost_per_answer_usd is not None:
        told.append(
            f"A thousand right answers cost {dollars(production.cost_per_answer_usd, 1000)} with production, "
            f"{dollars(naive.cost_per_answer_usd, 1000)} with naive."
        )
    return told


def _cpu_of_an_answer(run: Run) -> str:
    spent = 1000 * (run.cpu_s or 0.0) / max(run.answered, 1)
    return f"{spent:.1f} ms" if spent < 10 else f"{spent:.0f} ms"


def _bottleneck(rehearsal: Rehearsal) -> str:
    busy = [run for run in rehearsal.runs if run.simulator.bottleneck]
    if not busy:
        return ""
    told = [
        f"{run.pipeline} ({100 * run.simulator.busiest:.0f} % of a core at its busiest, calls of its own up to "
        f"{1000 * (run.simulator.late_p99_s or 0):.0f} ms late)"
        for run in busy
    ]
    return f"The simulated provider itself may have held up {listed(told)}: read those waits with care."


def _slo(rehearsal: Rehearsal) -> str:
    if (slo := rehearsal.slo) is None:
        return ""
    missed = [f"{one.objective} (measured: {one.shown})" for one in slo.objectives if not one.held]
    if not missed and slo.held:
        return f"Every objective holds for {slo.pipeline}."
    return (
        f"{slo.pipeline or 'Nothing that ran'} misses: {listed(missed)}." if missed else "No objective holds: partial."
    )
