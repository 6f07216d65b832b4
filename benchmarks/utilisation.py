"""How much of a provider's limit is used, and how many 429s that takes; on virtual time.

A crowd that is always larger than the limit is sent through the whole policy stack against providers that limit
exactly, in each of the ways that are known. Use is counted from the first call to the last that was admitted,
against all that the provider would have admitted until then, its burst included. The sustained rate leaves out the
first burst. A 429 that a user sees is an error; one that the stack absorbed is a wasted call.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from benchmarks.policies import layers
from benchmarks.provider import Ask, FixedWindows, Manners, Meter, Provider, TokenBucket, cost_of
from benchmarks.report import Column, Report, arguments
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Hop
from rushhour.flow.ledger.memory import Limits
from rushhour.testing import run_virtual

REQUESTS = 3_000.0
TOKENS = 900_000.0
MEAN_TOKENS = 600
PATIENCE_S = 3_600.0
AFTER_BURST_S = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of limit and how it is paced: `depth_s` is what the settings say, 0 seconds of window is a bucket."""

    name: str
    bound_by: str
    depth_s: float
    window_s: float = 0.0
    use: float = 0.99
    tells_limits: bool = True
    promised: bool = True


CASES = (
    Case("bucket, 1 s deep", "requests", 1.0),
    Case("bucket, 1 s deep", "tokens", 1.0),
    Case("bucket, 60 s deep", "requests", 60.0),
    Case("bucket, 60 s deep", "tokens", 60.0),
    Case("bucket, 1 s deep, says nothing", "requests", 1.0, tells_limits=False),
    Case("bucket, 1 s deep, says nothing", "tokens", 1.0, tells_limits=False),
    Case("bucket, 60 s deep, says nothing", "requests", 60.0, tells_limits=False),
    Case("bucket, 60 s deep, says nothing", "tokens", 60.0, tells_limits=False),
    Case("windows of 10 s", "requests", 0.1, window_s=10.0, tells_limits=False, promised=False),
    Case("windows of 1 s", "requests", 0.1, window_s=1.0, tells_limits=False, promised=False),
    Case("windows of 1 s, use 0.92", "requests", 0.1, window_s=1.0, use=0.92, tells_limits=False, promised=False),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What one case came to."""

    case: Case
    calls: int
    used: float
    sustained: float
    absorbed: int
    surfaced: int
    seconds: float


async def measure(case: Case, minutes: float, seed: int) -> Found:
    """Send calls worth `minutes` of the limit beyond its burst, all at once, and count."""
    chance = random.Random(seed)
    by_tokens = case.bound_by == "tokens"
    limit = TOKENS / MEAN_TOKENS if by_tokens else REQUESTS
    count = int(limit * (minutes + max(case.depth_s, case.window_s) / 60))
    asks = [Ask(number, _tokens(chance) if by_tokens else 1) for number in range(count)]
    meter = _meter(case, TOKENS if by_tokens else REQUESTS)
    roomy = TokenBucket(1e9, 60)
    provider = Provider(
        roomy if by_tokens else meter,
        meter if by_tokens else roomy,
        Manners(tells_limits=case.tells_limits),
        seed + 1,
    )
    limits = Limits(1e9 if by_tokens else REQUESTS, TOKENS if by_tokens else 1e9, case.depth_s, case.use)
    hop = layers(limits, cost_of, seed).round(provider)
    answered = await asyncio.gather(*(_ask(hop, ask) for ask in asks))
    times, costs = provider.counted.admitted_at, provider.counted.admitted_tokens
    spent = list(accumulate(costs if by_tokens else [1.0] * len(times)))
    return Found(
        case,
        count,
        _used(meter, times, spent),
        _sustained(meter, times, spent),
        provider.counted.throttled,
        answered.count(False),
        times[-1] - times[0],
    )


async def _ask(hop: Hop[Ask, int], ask: Ask) -> bool:
    now = asyncio.get_running_loop().time()
    try:
        return await hop(ask, Call(f"tenant-{ask.number % 20}", now + PATIENCE_S)) == ask.number
    except RushhourError:
        return False


def _used(meter: Meter, times: Sequence[float], spent: Sequence[float]) -> float:
    """Return what was spent as a share of what would have been admitted until then."""
    horizon = meter.last_whole(times[-1])
    return spent[bisect_right(times, horizon) - 1] / meter.allowed(horizon)


def _sustained(meter: Meter, times: Sequence[float], spent: Sequence[float]) -> float:
    """Return the rate after the first burst, as a share of the limit's."""
    begun = bisect_right(times, times[0] + AFTER_BURST_S)
    return (spent[-1] - spent[begun]) / (times[-1] - times[begun]) / (meter.limit / 60)


def _meter(case: Case, limit: float) -> Meter:
    return FixedWindows(limit, case.window_s) if case.window_s else TokenBucket(limit, case.depth_s)


def _tokens(chance: random.Random) -> int:
    """Draw a call's size: lognormal, most near the mean, a few several times as large."""
    return max(20, int(MEAN_TOKENS * chance.lognormvariate(-0.08, 0.4)))


def main() -> None:
    """Run every case and report."""
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="of the limit, beyond its burst (virtual)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = [run_virtual(measure(case, given.minutes, given.seed)) for case in CASES]
    report = Report("utilisation")
    report.table(
        f"Use of a limit of {REQUESTS:,.0f} requests or {TOKENS:,.0f} tokens a minute, for {given.minutes:g} minutes",
        (
            Column("The provider's limit", "limit"),
            Column("bound by", "bound_by"),
            Column("calls", "calls", ",d"),
            Column("used", "used", ".2%"),
            Column("sustained", "sustained", ".2%"),
            Column("429s absorbed", "absorbed", ",d"),
            Column("share", "absorbed_share", ".2%"),
            Column("429s surfaced", "surfaced", ",d"),
            Column("seconds", "seconds", ",.1f"),
        ),
        [
            (
                one.case.name,
                one.case.bound_by,
                one.calls,
                one.used,
                one.sustained,
                one.absorbed,
                one.absorbed / one.calls,
                one.surfaced,
                one.seconds,
            )
            for one in found
        ],
    )
    report.at_least("the least use of a bucket", min(one.used for one in found if one.case.promised), 0.98, ".0%")
    report.at_most("surfaced errors", sum(one.surfaced for one in found), 0)
    report.note(
        "Windows of the clock are not promised: a pacer cannot see where they begin. Their first row of each kind is "
        "paced as a bucket of a tenth of a second."
    )
    report.finish(given.json)


if __name__ == "__main__":
    main()
