"""A million calls through the whole stack on virtual time: how long it takes, and that a seed decides everything.

Calls come at random, of many tenants in two lanes, at nearly the rate that the provider allows, with rushes above it.
The provider limits exactly, fails now and then, and somebody else uses the same account at times, so that there are
429s to absorb. Every outcome goes into a digest: the same seed gives the same digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import resource
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.policies import layers
from benchmarks.provider import Ask, Manners, Provider, TokenBucket, cost_of
from benchmarks.report import Column, Report, arguments
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Hop, Lane
from rushhour.flow.ledger.memory import Limits
from rushhour.testing import run_virtual

PER_MINUTE = 6_000.0
TENANTS = 50
PATIENCE_S = 60.0
RUSH_EVERY_S = 60.0
RUSH_S = 10.0
LOAD, RUSH_LOAD = 0.8, 1.5
STRANGERS = 0.02
PROMISED_S = 120.0


@dataclass(slots=True)
class Tally:
    """What became of the calls: counts by outcome, the longest wait, and the digest of all of it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    most_at_once: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, number: int, outcome: str, begun: float, ended: float) -> None:
        """Count one call."""
        self.outcomes[outcome] += 1
        self.longest_s = max(self.longest_s, ended - begun)
        self.digest.update(struct.pack("<Idd", number, begun, ended) + outcome.encode())


@dataclass(frozen=True, slots=True)
class Played:
    """One whole run."""

    tally: Tally
    provider: Provider
    virtual_s: float


class Crowd:
    """Sends calls at random times and waits for all of them."""

    def __init__(self, hop: Hop[Ask, int], provider: Provider, tally: Tally, seed: int) -> None:
        self._hop = hop
        self._provider = provider
        self._tally = tally
        self._random = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()

    async def send(self, calls: int) -> None:
        """Send calls one after the other, at nearly the limit's rate and in rushes above it."""
        loop, chance = asyncio.get_running_loop(), self._random
        due = 0.0
        for number in range(calls):
            rush = due % RUSH_EVERY_S < RUSH_S
            due += chance.expovariate((RUSH_LOAD if rush else LOAD) * PER_MINUTE / 60)
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if chance.random() < STRANGERS:
                self._provider.serve_a_stranger()
            task = loop.create_task(self._ask(number))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            self._tally.most_at_once = max(self._tally.most_at_once, len(self._open))
        while self._open:
            await asyncio.wait(self._open)

    async def _ask(self, number: int) -> None:
        chance, loop = self._random, asyncio.get_running_loop()
        begun = loop.time()
        lane = Lane.BACKGROUND if chance.random() < 0.1 else Lane.INTERACTIVE
        ask = Ask(number, chance.randrange(50, 1_000))
        call = Call(f"tenant-{int(chance.paretovariate(0.6)) % TENANTS}", begun + PATIENCE_S, lane)
        try:
            await self._hop(ask, call)
        except RushhourError as wrong:
            self._tally.add(number, type(wrong).__name__, begun, loop.time())
        else:
            self._tally.add(number, "answered", begun, loop.time())


async def play(calls: int, seed: int) -> Played:
    """Build a provider and a stack, and send the crowd through."""
    tokens = PER_MINUTE * 600
    provider = Provider(
        TokenBucket(PER_MINUTE, 1.0),
        TokenBucket(tokens, 1.0),
        Manners(way_s=0.0, unavailable=0.003, lost=0.002),
        seed + 1,
    )
    hop = layers(Limits(PER_MINUTE, tokens, 1.0), cost_of, seed + 2).round(provider)
    tally = Tally()
    await Crowd(hop, provider, tally, seed).send(calls)
    return Played(tally, provider, asyncio.get_running_loop().time())


def main() -> None:
    """Play, measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    begun, cpu = time.perf_counter(), time.process_time()
    played = run_virtual(play(given.calls, given.seed))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    tally, counted = played.tally, played.provider.counted
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = Report("million")
    report.table(
        f"{given.calls:,} calls through the whole stack, seed {given.seed}",
        (Column("Figure", "figure"), Column("Value", "value", ",.6g")),
        [
            ("seconds of the clock", seconds),
            ("seconds of CPU", cpu),
            ("microseconds of CPU a call, provider and tasks included", cpu / given.calls * 1e6),
            ("virtual seconds", played.virtual_s),
            ("peak memory, MB", peak_mb),
            ("most calls at once", tally.most_at_once),
            ("429s absorbed", counted.throttled),
            ("failures of the provider", counted.failed),
            ("longest wait, virtual seconds", tally.longest_s),
            *((f"outcome: {outcome}", count) for outcome, count in sorted(tally.outcomes.items())),
        ],
    )
    report.at_most(
        "seconds of CPU, which are those of the clock on an idle machine", cpu, PROMISED_S, ".0f", clock=True
    )
    report.at_most("429s and failures that surfaced", given.calls - tally.outcomes["answered"], 0)
    report.note(f"Digest of every outcome and its times: {tally.digest.hexdigest()}")
    report.finish(given.json)


if __name__ == "__main__":
    main()
