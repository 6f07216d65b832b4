"""CPU that the policies cost a call, round a hop that does nothing.

Process time, not wall time; the median of many repetitions, policies added one by one from the hop outwards. Then the
same for calls that have to queue, where the pacer's waiting room works too.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import uvloop

from benchmarks.policies import Layers, layers
from benchmarks.provider import Ask
from benchmarks.report import Column, Report, arguments
from rushhour.flow.call import Call, Hop, named, stack
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.policies.hedge import Hedge
from rushhour.flow.policies.reuse import LruCache, Reuse

PROMISED_US = 40.0
ROOMY = Limits(1e9, 1e9, 60.0)
NARROW = Limits(300_000.0, 1e9, 0.005)
"""5,000 calls a second: several times slower than the stack, so that nearly every call has to wait."""

FULL = "full stack: with both"
ASKS = [Ask(number, 100) for number in range(1_000)]

Measurement = Callable[[Hop[Ask, int], int], Awaitable[None]]


async def trivial(request: Ask, _call: Call) -> int:
    """Answer at once."""
    return request.number


async def one_by_one(hop: Hop[Ask, int], calls: int) -> None:
    """Make calls that are admitted at once; each has a deadline, as every call from the server has."""
    deadline = asyncio.get_running_loop().time() + 3_600
    for number in range(calls):
        await hop(ASKS[number % len(ASKS)], Call("acme", deadline))


async def all_at_once(hop: Hop[Ask, int], calls: int) -> None:
    """Make calls that all wait for their turn, of twenty tenants."""
    deadline = asyncio.get_running_loop().time() + 3_600
    async with asyncio.TaskGroup() as tasks:
        for number in range(calls):
            tasks.create_task(_awaited(hop, ASKS[number % len(ASKS)], Call(f"tenant-{number % 20}", deadline)))


async def _awaited(hop: Hop[Ask, int], ask: Ask, call: Call) -> None:
    await hop(ask, call)


async def costs(hops: Sequence[Callable[[], Hop[Ask, int]]], how: Measurement, calls: int, times: int) -> list[float]:
    """Return the median microseconds of CPU a call of each hop; they take turns, so that all meet the same weather."""
    spent: list[list[float]] = [[] for _ in hops]
    for _ in range(times):
        for make, samples in zip(hops, spent, strict=True):
            hop = make()
            await how(hop, calls // 10)  # warm
            begun = time.process_time()
            await how(hop, calls)
            samples.append((time.process_time() - begun) / calls * 1e6)
    return [statistics.median(samples) for samples in spent]


@dataclass(frozen=True, slots=True)
class Build:
    """A name and how to make the hop; each measurement begins with a new one."""

    name: str
    make: Callable[[], Hop[Ask, int]]


def one_more_each(limits: Limits) -> list[Build]:
    """Return the hop with one policy more each, from the inside outwards."""

    def build(count: int) -> Hop[Ask, int]:
        return named(stack(trivial, *layers(limits).all()[-count:]), "chat")

    names = [field.name.capitalize() for field in reversed(fields(Layers))]
    return [Build(f"+ {name}", partial(build, count)) for count, name in enumerate(names, 1)]


def with_the_optional(limits: Limits) -> list[Build]:
    """Return the stack with the policies that not every hop has."""

    def build(*, reuse: bool, hedge: bool) -> Hop[Ask, int]:
        deadline, *middle, watch = layers(limits).all()
        outer = [Reuse(_number, LruCache(64))] if reuse else []
        inner = [Hedge(lambda _request: False)] if hedge else []
        return named(stack(trivial, deadline, *outer, *middle, *inner, watch), "chat")

    return [
        Build("the stack above", partial(build, reuse=False, hedge=False)),
        Build("with Reuse, nothing kept", partial(build, reuse=True, hedge=False)),
        Build("with Hedge, none needed", partial(build, reuse=False, hedge=True)),
        Build(FULL, partial(build, reuse=True, hedge=True)),
    ]


def _number(request: Ask, _call: Call) -> int:
    return request.number


def profile(calls: int) -> None:
    """Print where the time of the full stack goes."""
    for how, limits in ((one_by_one, ROOMY), (all_at_once, NARROW)):
        profiler = cProfile.Profile()

        async def run(how: Measurement = how, limits: Limits = limits) -> None:
            await how(layers(limits).round(trivial), calls)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            profiler.runcall(runner.run, run())
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def measured(builds: Sequence[Build], how: Measurement, calls: int, times: int) -> list[float]:
    """Measure on the loop that production runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(costs([build.make for build in builds], how, calls, times))


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--calls", type=int, default=3_000, help="calls a sample")
    parser.add_argument("--times", type=int, default=15, help="samples of each")
    parser.add_argument("--profile", action="store_true", help="show instead where the time goes")
    given = parser.parse_args()
    if given.profile:
        profile(given.calls)
        return
    report = Report("overhead")
    bare = Build("bare hop", partial(named, trivial, "chat"))
    at_once = [bare, *one_more_each(ROOMY), *with_the_optional(ROOMY)]
    cost = measured(at_once, one_by_one, given.calls, given.times)
    _add_table(report, "CPU of calls that are admitted at once", at_once, cost)
    queued = [bare, Build("the stack, every call waits", lambda: layers(NARROW).round(trivial))]
    waiting = measured(queued, all_at_once, given.calls, max(3, given.times // 5))
    _add_table(report, "CPU of calls that are queued, with a task each", queued, waiting)
    report.at_most(f"microseconds of CPU a call, {FULL}", cost[-1] - cost[0], PROMISED_US, ".0f", clock=True)
    report.note("CPU of the process, not seconds of the clock. Compare figures of one run; machines differ.")
    report.finish(given.json)


def _add_table(report: Report, title: str, builds: Sequence[Build], cost: Sequence[float]) -> None:
    columns = (
        Column("Policies", "policies"),
        Column("µs a call", "us", ",.2f"),
        Column("above the bare hop", "above_bare_us", ",.2f"),
    )
    rows = [(build.name, total, total - cost[0]) for build, total in zip(builds, cost, strict=True)]
    report.table(title, columns, rows)


if __name__ == "__main__":
    main()
