"""One replica of `benchmarks.replicas`: waits for a line, sends its part of the load, prints what became of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from benchmarks.policies import layers
from benchmarks.wire_provider import WireClient
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Hop
from rushhour.flow.ledger.contract import Quota
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.ledger.redis_ledger import RedisLedger

PATIENCE_S = 600.0


@asynccontextmanager
async def quota_of(redis: str, limits: Limits) -> AsyncIterator[Quota]:
    """Open the shared quota, or one of this process's own where there is no Redis."""
    if not redis:
        yield MemoryQuota(limits)
        return
    ledger = await RedisLedger.open(redis)
    try:
        yield ledger.quota("chat", limits)
    finally:
        await ledger.aclose()


async def load(hop: Hop[int, int], per_second: float, seconds: float, seed: int) -> Counter[str]:
    """Send calls at random times, then give up on those that still wait."""
    loop, chance = asyncio.get_running_loop(), random.Random(seed)
    outcomes: Counter[str] = Counter()

    async def ask(number: int) -> None:
        try:
            await hop(number, Call(f"tenant-{number % 10}", loop.time() + PATIENCE_S))
        except RushhourError as wrong:
            outcomes[type(wrong).__name__] += 1
        else:
            outcomes["answered"] += 1

    begun = due = loop.time()
    tasks: set[asyncio.Task[None]] = set()
    while (due := due + chance.expovariate(per_second)) < begun + seconds:
        await asyncio.sleep(max(0.0, due - loop.time()))
        task = loop.create_task(ask(len(tasks)))
        tasks.add(task)
    await asyncio.sleep(max(0.0, begun + seconds - loop.time()))
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting)
    return outcomes


async def run(given: argparse.Namespace) -> None:
    """Get ready, say so, wait for the start, and work."""
    limits = Limits(given.rpm * given.part, None, given.burst)
    async with (
        quota_of(given.redis, limits) as quota,
        WireClient.connected(given.provider, given.rpm) as provider,
    ):
        hop = layers(limits, seed=given.seed, quota=quota).round(provider)
        print(json.dumps({"ready": True}), flush=True)  # noqa: T201  # what its parent waits for
        await asyncio.to_thread(sys.stdin.readline)
        outcomes = await load(hop, given.rate, given.seconds, given.seed)
        print(json.dumps(outcomes), flush=True)  # noqa: T201  # its result


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", default="", help="URL; without one the quota is this process's own")
    parser.add_argument("--provider", type=int, required=True, help="the provider's port")
    parser.add_argument("--rpm", type=float, required=True, help="the provider's limit")
    parser.add_argument("--part", type=float, default=1.0, help="of the limit that this replica paces to")
    parser.add_argument("--burst", type=float, default=1.0, help="seconds of the limit that the bucket holds")
    parser.add_argument("--rate", type=float, required=True, help="calls a second that come to this replica")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
