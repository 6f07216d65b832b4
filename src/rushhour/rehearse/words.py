"""The rehearsal in plain words: names of failures, figures with their units, and the story they tell."""

from __future__ import annotations

from rushhour.rehearse.results import Rehearsal, Run

_LABELS = {
    "upstream_429": "the provider’s 429, handed to the user",
    "gave_up": "gave up waiting",
    "connection_reset": "connection reset",
    "connection_refused": "connection refused",
    "truncated_stream": "answer cut off",
    "APIConnectionError": "connection to the provider lost",
    "APITimeoutError": "timed out calling the provider",
    "InternalServerError": "the provider’s 5xx, handed to the user",
    "server_error": "the provider’s 5xx, handed to the user",
    "server_is_overloaded": "the provider’s 503, handed to the user",
    "ClientResponseError": "the vector store’s error, handed to the user",
    "ServerDisconnectedError": "connection to the vector store lost",
    "ClientOSError": "connection to the vector store lost",
    "upstream_unavailable": "provider unavailable",
    "upstream_timeout": "the provider timed out",
    "upstream_connection_lost": "connection to the provider lost",
    "upstream_truncated_stream": "the provider cut the answer off",
    "deadline_exceeded": "deadline passed",
    "overloaded": "refused after the answer had begun",
}


def label_of(kind: str) -> str:
    """Say in words what a kind of failure is; an unknown kind stands for itself."""
    return _LABELS.get(kind) or kind.replace("http_", "HTTP ").replace("_", " ")


def share(part: int, whole: int) -> str:
    """Write a part as a percentage that never rounds to 0 or 100 what is not."""
    if whole == 0:
        return "–"
    percent = 100 * part / whole
    if part in (0, whole):
        return f"{percent:.0f} %"
    return f"{min(max(percent, 0.1), 99.9):.1f} %"


def seconds(value: float | None) -> str:
    """Write seconds; a dash for what was never measured."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def dollars(value: float | None, per: int = 1) -> str:
    """Write dollars for `per` of a thing, with enough digits to say something."""
    if value is None:
        return "–"
    amount = value * per
    return f"${amount:.4f}" if amount < 0.1 else f"${amount:,.2f}"


def ratio(value: float | None) -> str:
    """Write a small ratio."""
    return "–" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def headline(rehearsal: Rehearsal) -> str:
    """Say in one line what was played."""
    over = rehearsal.settings.get("over_s", 0)
    return f"{rehearsal.users:,} users in {over:g} seconds, {rehearsal.limit_per_s:g} calls a second allowed"


def verdict(rehearsal: Rehearsal) -> str:
    """Say in one line how it ended."""
    crowd = f"{rehearsal.users:,} users in {rehearsal.settings.get('over_s', 0):g} seconds"
    if not rehearsal.runs:
        return f"{crowd}: nothing was measured"
    ends = [
        f"{run.pipeline} answered {'all of them' if run.answered == rehearsal.users else f'{run.answered:,}'}"
        for run in rehearsal.runs
    ]
    return f"{crowd}: {', '.join(ends)}"


def story(rehearsal: Rehearsal) -> list[str]:
    """Tell what happened, a sentence a fact, from the figures alone."""
    told = [_friday(rehearsal)] if rehearsal.friday else []
    told += [_monday(run, rehearsal) for run in rehearsal.runs]
    told.append(_floor(rehearsal))
    pair = {run.pipeline: run for run in rehearsal.runs}
    if {"naive", "production"} <= pair.keys():
        told += _compared(pair["naive"], pair["production"])
    if rehearsal.partial:
        told.append("The rehearsal was interrupted: these figures are partial.")
    return [sentence for sentence in told if sentence]


def _friday(rehearsal: Rehearsal) -> str:
    asked = {day.users for day in rehearsal.friday}
    if len(asked) == 1 and all(day.answered == day.users for day in rehearsal.friday):
        few = rehearsal.settings.get("friday_at_once", "a few")
        return (
            f"On Friday, {few} users at a time, every pipeline answered {asked.pop()} of {rehearsal.friday[0].users}."
        )
    told = " and ".join(f"{day.pipeline} {day.answered} of {day.users}" for day in rehearsal.friday)
    return f"On Friday, a few users at a time, the right answers were: {told}."


def _monday(run: Run, rehearsal: Rehearsal) -> str:
    told = f"On Monday {run.pipeline} answered {run.answered:,} of {rehearsal.users:,} users rightly"
    failed = sum(run.errors.values()) + run.wrong
    if failed:
        kind, count = max([*run.errors.items(), ("a wrong answer", run.wrong)], key=lambda item: item[1])
        told += f"; {failed:,} got nothing they could use, most often: {label_of(kind)} ({count:,})"
    elif run.answered == rehearsal.users:
        told += f", the median within {seconds(run.p50_s)} and 95 % within {seconds(run.p95_s)}; nobody saw an error"
    if run.refused:
        told += f"; {run.refused:,} were told honestly when to come back"
    return f"{told}.{_never_arrived(run, rehearsal)}"


def _never_arrived(run: Run, rehearsal: Rehearsal) -> str:
    """Explain timeouts that the provider had no part in: one embedding call a user, and it did not see them all."""
    unseen = rehearsal.users - run.provider_calls.embeddings
    if unseen < rehearsal.users / 10 or "APITimeoutError" not in run.errors:
        return ""
    return (
        f" Of their first calls {unseen:,} never reached the provider: a new client for each request kept the process "
        f"busy for {run.cpu_s:.0f} s of CPU, while its own connections timed out."
    )


def _floor(rehearsal: Rehearsal) -> str:
    limit = f"{rehearsal.limit_per_s:g} chat calls a second"
    told = f"At {limit}, {rehearsal.users:,} users take {rehearsal.floor_s:g} s whoever asks"
    whole = [run for run in rehearsal.runs if run.answered == rehearsal.users]
    for run in whole:
        told += f"; {run.pipeline} had answered 99 % of them after {seconds(run.done_99_s)} and the last one after "
        told += f"{seconds(run.makespan_s)}, {run.makespan_s / rehearsal.floor_s:.2f} × that floor"
    return told + "."


def _compared(naive: Run, production: Run) -> list[str]:
    told = []
    if production.embeddings_per_answer is not None and naive.embeddings_per_answer is not None:
        told.append(
            f"For each right answer production made {ratio(production.embeddings_per_answer)} embedding calls and "
            f"used {1000 * production.cpu_s / max(production.answered, 1):.1f} ms of CPU; naive made "
            f"{ratio(naive.embeddings_per_answer)} and used {1000 * naive.cpu_s / max(naive.answered, 1):.0f} ms."
        )
    if production.cost_per_answer_usd is not None and naive.cost_per_answer_usd is not None:
        told.append(
            f"A thousand right answers cost {dollars(production.cost_per_answer_usd, 1000)} with production, "
            f"{dollars(naive.cost_per_answer_usd, 1000)} with naive."
        )
    return told
