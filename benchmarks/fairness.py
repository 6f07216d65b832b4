"""What a flood does to everybody else; on virtual time.

One tenant sends 900 of 1,000 calls at once. The other hundred, of ten tenants, come during the same seconds. Their
latencies are compared with those of a run in which the flood is not there, and with those of one queue for all, which
is what a semaphore or a plain token bucket makes of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.policies import layers
from benchmarks.provider import Ask, Manners, Provider, TokenBucket, cost_of
from benchmarks.report import Column, Report, arguments
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Hop
from rushhour.flow.ledger.memory import Limits
from rushhour.testing import run_virtual

REQUESTS = 3_000.0
PATIENCE_S = 600.0
FLOOD = "flood"
QUIET = tuple(f"quiet-{number}" for number in range(10))


@dataclass(frozen=True, slots=True)
class Visit:
    """A call that comes at a time."""

    tenant: str
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How long a call took; None where it failed."""

    tenant: str
    took: float | None


def quiet_visits(count: int, within_s: float, chance: random.Random) -> list[Visit]:
    """Spread calls of the quiet tenants over some seconds."""
    return [Visit(QUIET[number % len(QUIET)], chance.uniform(0.0, within_s)) for number in range(count)]


async def play(visits: Sequence[Visit], seed: int, *, one_queue: bool = False) -> list[Outcome]:
    """Send every call at its time through the whole stack; with `one_queue`, without telling tenants apart."""
    provider = Provider(TokenBucket(REQUESTS, 1.0), None, Manners(), seed)
    hop = layers(Limits(REQUESTS, None, 1.0), cost_of, seed).round(provider)
    return list(await asyncio.gather(*(_visit(hop, visit, one_queue) for visit in visits)))


async def _visit(hop: Hop[Ask, int], visit: Visit, one_queue: bool) -> Outcome:
    await asyncio.sleep(visit.at)
    now = asyncio.get_running_loop().time()
    try:
        await hop(Ask(0), Call("all" if one_queue else visit.tenant, now + PATIENCE_S))
    except RushhourError:
        return Outcome(visit.tenant, None)
    return Outcome(visit.tenant, asyncio.get_running_loop().time() - now)


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return the value below which the share `q` lies."""
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def main() -> None:
    """Run with the flood, without it, and with one queue for all."""
    parser = arguments(__doc__)
    parser.add_argument("--flood", type=int, default=900, help="calls of the one tenant, all at time 0")
    parser.add_argument("--quiet", type=int, default=100, help="calls of the ten others together")
    parser.add_argument("--within", type=float, default=10.0, help="seconds over which the others come")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    quiet = quiet_visits(given.quiet, given.within, random.Random(given.seed))
    everybody = [Visit(FLOOD, 0.0)] * given.flood + quiet
    runs = {
        "without the flood": run_virtual(play(quiet, given.seed)),
        "with the flood": run_virtual(play(everybody, given.seed)),
        "with the flood, one queue for all": run_virtual(play(everybody, given.seed, one_queue=True)),
    }
    report = Report("fairness")
    _table(report, given.flood, runs)
    p95 = {name: quantile(_times(run, quiet=True), 0.95) for name, run in runs.items()}
    ratio = p95["with the flood"] / p95["without the flood"]
    report.at_most("the others' p95 with the flood, as a multiple of without", ratio, 1.1, ".2f")
    report.at_most("surfaced errors", sum(one.took is None for run in runs.values() for one in run), 0)
    report.note(
        f"{REQUESTS:,.0f} calls a minute, enforced per second. The floor: {given.flood + given.quiet:,} calls need "
        f"{(given.flood + given.quiet) / (REQUESTS / 60) - 1:.0f} s, whoever goes first."
    )
    report.finish(given.json)


def _times(run: Sequence[Outcome], *, quiet: bool) -> list[float]:
    return sorted(one.took for one in run if one.took is not None and (one.tenant != FLOOD) == quiet)


def _table(report: Report, flood: int, runs: dict[str, list[Outcome]]) -> None:
    base = quantile(_times(runs["without the flood"], quiet=True), 0.95)
    rows: list[tuple[str | float | None, ...]] = []
    for name, run in runs.items():
        others, flooding = _times(run, quiet=True), _times(run, quiet=False)
        p95 = quantile(others, 0.95)
        floods = quantile(flooding, 0.95) if flooding else None
        rows.append((name, quantile(others, 0.5), p95, others[-1], p95 / base, floods))
    report.table(
        f"One tenant floods with {flood:,} calls: seconds that the others take",
        (
            Column("Run", "run"),
            Column("p50", "p50_s", ".2f"),
            Column("p95", "p95_s", ".2f"),
            Column("longest", "longest_s", ".2f"),
            Column("p95 against without", "ratio", ".2f"),
            Column("the flood's own p95", "flood_p95_s", ".2f"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
