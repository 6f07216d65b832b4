"""From what was seen (visits, the provider's ledger, the process) to the figures of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from rushhour.rehearse.counting import count_outcomes, percentile, series_of, served_within
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.provider import Account
from rushhour.rehearse.results import Friday, Returned, Run, SimulatorLoad, TenantRun
from rushhour.rehearse.scenario import Tenant

BUSY = 0.8
"""Of a core: a simulator that used more may have been what held the calls up."""
LATE_S = 0.1
"""A simulator that was later than this for one call in a hundred may have been too."""


def run_of(
    pipeline: str,
    users: int,
    visits: Sequence[Visited],
    account: Account,
    server: Measured | None,
    crowd: Measured,
    tenants: Sequence[Tenant] = (),
    simulator: SimulatorLoad = SimulatorLoad(),  # noqa: B008  # frozen
) -> Run:
    """Return one pipeline's Monday; it is partial when not all users were seen to the end.

    Without a `server` the pipeline is somebody's own app, whose process was not measured.
    """
    outcomes, errors = count_outcomes(visits)
    right = _right(visits)
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
        cpu_s=round(server.cpu_s, 2) if server else None,
        peak_rss_mb=round(server.peak_rss_mb, 1) if server else None,
        done_99_s=percentile(ends, 99),
        first_word_p50_s=percentile(first_words, 50),
        first_word_p95_s=percentile(first_words, 95),
        served_within_s=served_within(waits, users),
        cost_per_answer_usd=account.cost_usd / len(right) if right else None,
        embeddings_per_answer=round(calls.embeddings / len(right), 4) if right else None,
        series=msgspec.structs.replace(
            series_of(visits),
            admitted=account.chat_admitted,
            throttled=account.chat_throttled,
            failed=account.chat_failed,
        ),
        crowd_late_p99_s=percentile([visit.late_s for visit in visits], 99) or 0.0,
        crowd_cpu_s=round(crowd.cpu_s, 2),
        refused_first=sum(visit.refused_s is not None for visit in visits),
        returned=_returned(visits),
        degraded=dict(Counter(label for visit in right for label in visit.degraded).most_common()),
        tenants=[_tenant_run(tenant, visits) for tenant in tenants],
        simulator=simulator,
        partial=len(visits) < users,
    )


def friday_of(pipeline: str, visits: Sequence[Visited]) -> Friday:
    """Return one pipeline's quiet day."""
    waits = [visit.done_s for visit in _right(visits)]
    return Friday(pipeline, len(visits), len(waits), percentile(waits, 50))


def load_of(simulator: Measured, late_p99_s: float | None) -> SimulatorLoad:
    """Judge whether the simulator itself held a run up, from its process and what it says about its own lateness."""
    return SimulatorLoad(
        cpu_share=round(simulator.share, 3),
        busiest=round(simulator.busiest, 3),
        late_p99_s=late_p99_s,
        bottleneck=simulator.busiest > BUSY or (late_p99_s or 0.0) > LATE_S,
    )


def _returned(visits: Sequence[Visited]) -> Returned:
    again = [visit for visit in visits if visit.returned]
    outcomes, errors = count_outcomes(again)
    return Returned(
        users=len(again),
        answered=outcomes[Outcome.ANSWERED],
        wrong=outcomes[Outcome.WRONG],
        refused=outcomes[Outcome.REFUSED],
        errors=errors,
    )


def _tenant_run(tenant: Tenant, visits: Sequence[Visited]) -> TenantRun:
    theirs = [visit for visit in visits if visit.tenant == tenant.name]
    outcomes, errors = count_outcomes(theirs)
    waits = [visit.done_s for visit in _right(theirs)]
    return TenantRun(
        tenant=tenant.name,
        users=len(theirs),
        answered=len(waits),
        wrong=outcomes[Outcome.WRONG],
        refused=outcomes[Outcome.REFUSED],
        refused_first=sum(visit.refused_s is not None for visit in theirs),
        errors=errors,
        p50_s=percentile(waits, 50),
        p95_s=percentile(waits, 95),
        flooded=tenant.flood_at_s is not None,
    )


def _right(visits: Sequence[Visited]) -> list[Visited]:
    return [visit for visit in visits if visit.outcome is Outcome.ANSWERED]
