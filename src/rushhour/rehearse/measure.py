"""From what was seen (visits, the provider's ledger, the process) to the figures of one run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.processes import Measured
from rushhour.rehearse.provider import Account
from rushhour.rehearse.results import Friday, Run, count_outcomes, percentile, series_of, served_within


def run_of(
    pipeline: str,
    users: int,
    visits: Sequence[Visited],
    account: Account,
    server: Measured,
    crowd: Measured,
) -> Run:
    """Return one pipeline's Monday; it is partial when not all users were seen to the end."""
    outcomes, errors = count_outcomes(visits)
    right = [visit for visit in visits if visit.outcome is Outcome.ANSWERED]
    waits = [visit.done_s for visit in right]
    first_words = [visit.first_s for visit in right if visit.first_s is not None]
    ends = [visit.at + visit.done_s for visit in visits]
    calls = account.calls
    return Run(
        pipeline=pipeline,
        answered=len(right),
        wrong=outcomes[Outcome.WRONG],
        refused=outcomes[Outcome.REFUSED],
        errors=errors,
        p50_s=percentile(waits, 50),
        p95_s=percentile(waits, 95),
        p99_s=percentile(waits, 99),
        makespan_s=round(max(ends, default=0.0), 3),
        provider_calls=calls,
        throttled=account.throttled,
        connections=account.connections,
        tokens=account.tokens,
        cost_usd=round(account.cost_usd, 6),
        cpu_s=round(server.cpu_s, 2),
        peak_rss_mb=round(server.peak_rss_mb, 1),
        done_99_s=percentile(ends, 99),
        first_word_p50_s=percentile(first_words, 50),
        first_word_p95_s=percentile(first_words, 95),
        served_within_s=served_within(waits, users),
        cost_per_answer_usd=account.cost_usd / len(right) if right else None,
        embeddings_per_answer=round(calls.embeddings / len(right), 4) if right else None,
        series=msgspec.structs.replace(
            series_of(visits), admitted=account.chat_admitted, throttled=account.chat_throttled
        ),
        crowd_late_p99_s=percentile([visit.late_s for visit in visits], 99) or 0.0,
        crowd_cpu_s=round(crowd.cpu_s, 2),
        partial=len(visits) < users,
    )


def friday_of(pipeline: str, visits: Sequence[Visited]) -> Friday:
    """Return one pipeline's quiet day."""
    waits = [visit.done_s for visit in visits if visit.outcome is Outcome.ANSWERED]
    return Friday(pipeline, len(visits), len(waits), percentile(waits, 50))
