"""The Redis in memory, reached by the real ledger."""

from __future__ import annotations

import asyncio
import random

from rushhour.flow.ledger.coalescer import Command, Refused
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.rehearse.virtual.ledger_server import LedgerServer


async def _open(server: LedgerServer, name: str) -> RedisLedger:
    ledger = RedisLedger(server.connect, "memory", "test", name, 2, rng=random.Random(name))
    await ledger.start()
    return ledger


class _Hungry:
    """A pacer that always wants more, and takes it as soon as it may."""

    def __init__(self, ledger: RedisLedger) -> None:
        self.quota = ledger.quota("chat", Limits(600, None, 1.0, use=1.0))
        self.quota.attach(self)
        self.taken = 0

    def serve(self) -> None:
        now = asyncio.get_running_loop().time()
        while (wait := self.quota.wait(Cost(), now)) <= 0:
            self.quota.take(Cost(), now)
            self.taken += 1
        asyncio.get_running_loop().call_later(wait, self.serve)

    def backlog(self) -> float:
        return 100.0

    def expected(self, replicas: int) -> float:
        return 100.0

    def booked(self, replicas: int) -> float:
        return 0.0


async def test_two_replicas_share_one_limit() -> None:
    """Both together take the limit and its burst, and each about half."""
    server = LedgerServer()
    ledgers = [await _open(server, "a"), await _open(server, "b")]
    hungry = [_Hungry(ledger) for ledger in ledgers]
    for one in hungry:
        one.serve()

    await asyncio.sleep(20)

    taken = [one.taken for one in hungry]
    assert 0.95 * 200 <= sum(taken) <= 10 + 200 + 1
    assert min(taken) > 0.4 * sum(taken)
    await asyncio.gather(*(ledger.aclose() for ledger in ledgers))


async def test_a_cache_is_shared_until_its_time_is_over() -> None:
    """What one replica keeps another finds, and later does not."""
    server = LedgerServer()
    one, other = await _open(server, "a"), await _open(server, "b")

    await one.cache("embed").put(b"question", b"vector", 10.0)

    assert await other.cache("embed").get(b"question") == b"vector"
    await asyncio.sleep(11)
    assert await other.cache("embed").get(b"question") is None
    await asyncio.gather(one.aclose(), other.aclose())


async def test_an_unknown_command_is_refused() -> None:
    """A ledger that learns a new command is not fed with nothing."""
    assert isinstance(LedgerServer().run(Command(("FLUSHALL",))), Refused)
