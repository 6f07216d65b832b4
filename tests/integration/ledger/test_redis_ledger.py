"""The ledger on a real Valkey: shared, killed, silent, without Lua, with a wrong password."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from rushhour.errors import ConnectionLost, SettingsError
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.ledger.coalescer import Command
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.lease_call import Ask, LeaseCall, parse_lease
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.redis_connection import RedisAddress
from rushhour.flow.ledger.redis_ledger import LedgerBack, LedgerLost, RedisLedger
from rushhour.flow.ledger.redis_scripts import LEASE
from rushhour.flow.policies.pace import Pace
from rushhour.testing import Scripted

DENIED = ("ACL", "SETUSER", "default")


class Replica:
    """A ledger in this process, and a paced hop on its quota."""

    def __init__(self, ledger: RedisLedger, limits: Limits) -> None:
        self.ledger = ledger
        self.quota = ledger.quota("chat", limits)
        self.hop = Scripted("ok", forever=True)
        self.asked = stack(self.hop, Pace(self.quota, lambda tokens: Cost(1, tokens)))

    async def send(self, count: int, tokens: float = 0.0) -> list[Any]:
        """Send so many calls at once."""
        return await asyncio.gather(*(self.asked(tokens, Call()) for _ in range(count)))


def fullest(group: Sequence[Replica], rate: float) -> float:
    """Most seconds of the limit that a bucket ever held of the requests that were sent."""
    tat, worst = float("-inf"), 0.0
    for at in sorted(at for replica in group for at in replica.hop.asked_at):
        tat = max(tat, at) + 1 / rate
        worst = max(worst, tat - at)
    return worst


class Watch:
    """Remembers events, and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Event]] = []
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.seen.append((asyncio.get_running_loop().time(), event))
        self._news.set()

    async def heard(self, kind: type[Event], times: int = 1) -> Any:
        """Return the last of so many events of a kind, when it has come."""
        while len(found := [event for _, event in self.seen if isinstance(event, kind)]) < times:
            self._news.clear()
            await self._news.wait()
        return found[-1]


@asynccontextmanager
async def stub(answer: Callable[[list[bytes]], bytes | None]) -> AsyncIterator[str]:
    """Serve RESP; `answer` gets the words of a command and returns the raw reply, or None for silence."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            if (reply := answer(words)) is not None:
                writer.write(reply)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


async def test_four_replicas_stay_within_one_limit(valkey: Any) -> None:
    """Both dimensions, random costs: never more than burst + rate·w together, all served, few round trips."""
    limits = Limits(12_000, 1_200_000, burst_s=1, use=1.0)
    group = [Replica(await RedisLedger.open(valkey.url), limits) for _ in range(4)]
    trips = sum(replica.ledger.round_trips for replica in group)

    await asyncio.gather(
        *(replica.send(125, tokens=random.Random(n).choice([50, 100])) for n, replica in enumerate(group))
    )

    assert sum(len(replica.hop.asked_at) for replica in group) == 500
    assert fullest(group, 200) <= 1.0 + 0.01
    assert sum(replica.ledger.round_trips for replica in group) - trips < 500 / 5
    await asyncio.gather(*(replica.ledger.aclose() for replica in group))


async def test_an_ended_replica_leaves_nothing_debited(valkey: Any) -> None:
    """What it held goes back, and it is no longer counted."""
    one = Replica(await RedisLedger.open(valkey.url, prefix="p"), Limits(60, None, burst_s=60, use=1.0))
    two = Replica(await RedisLedger.open(valkey.url, prefix="p"), Limits(60, None, burst_s=60, use=1.0))
    await one.send(5)
    await one.ledger.aclose()

    await two.send(50)

    assert await valkey.command("ZCARD", "{p}:replicas") == b":1\r\n"
    await two.ledger.aclose()


async def test_a_killed_valkey_surfaces_nowhere_and_comes_back(valkey: Any) -> None:
    """Killed under load and restarted empty: every call is served, the bucket is never more than a burst too full."""
    watches = [Watch() for _ in range(2)]
    limits = Limits(6_000, None, burst_s=0.5, use=1.0)
    group = [Replica(await RedisLedger.open(valkey.url, watch=watch), limits) for watch in watches]
    await asyncio.gather(*(replica.ledger.check() for replica in group))
    calls = [asyncio.create_task(replica.send(150)) for replica in group]
    await asyncio.gather(*(replica.send(20) for replica in group))

    await valkey.kill()
    lost = [await watch.heard(LedgerLost) for watch in watches]
    await asyncio.gather(*(replica.send(20) for replica in group))
    await valkey.start()
    await asyncio.gather(*(watch.heard(LedgerBack) for watch in watches))
    calls += [asyncio.create_task(replica.send(50)) for replica in group]

    replies = await asyncio.gather(*calls)

    assert [len(one) for one in replies] == [150, 150, 50, 50]
    assert [event.replicas for event in lost] == [2, 2]
    assert fullest(group, 100) <= 2 * 0.5
    assert "2 replicas" in await group[0].ledger.check()
    await asyncio.gather(*(replica.ledger.aclose() for replica in group))


async def test_a_redis_that_falls_silent_is_lost_and_hangs_nobody() -> None:
    """It accepts and answers until it does not: calls go on at this replica's share."""
    watch, silent = Watch(), asyncio.Event()

    def answer(words: list[bytes]) -> bytes | None:
        if silent.is_set():
            return None
        if words[0] in {b"EVALSHA", b"EVAL"}:
            return b"*2\r\n$3\r\n1.0\r\n$1\r\n3\r\n"
        return b"+OK\r\n"

    async with stub(answer) as url:
        ledger = await RedisLedger.open(url, watch=watch)
        silent.set()
        replica = Replica(ledger, Limits(60_000, None, burst_s=1))

        assert await replica.send(50) == ["ok"] * 50
        assert (await watch.heard(LedgerLost)).replicas == 3
        with pytest.raises(ConnectionLost, match="out of reach"):
            await ledger.check()
        await ledger.aclose()


async def test_a_redis_that_never_answers_is_a_stated_fallback_at_the_start() -> None:
    """`open` gives up after its second, says so, and assumes the number of replicas it was told."""
    watch = Watch()
    async with stub(lambda _words: None) as url:
        ledger = await RedisLedger.open(url, expected=4, watch=watch)
        replica = Replica(ledger, Limits(60_000, None, burst_s=1))

        assert await replica.send(10) == ["ok"] * 10
        lost = await watch.heard(LedgerLost)
        assert (lost.replicas, "did not answer" in lost.why) == (4, True)
        await ledger.aclose()


async def test_a_redis_that_is_down_at_the_start_is_found_later(valkey: Any) -> None:
    """Refused at the start; shared as soon as it is there."""
    await valkey.kill()
    watch = Watch()
    ledger = await RedisLedger.open(valkey.url, watch=watch)
    replica = Replica(ledger, Limits(6_000, None, burst_s=1))
    assert await replica.send(3) == ["ok"] * 3

    await valkey.start()
    await watch.heard(LedgerBack)

    assert await replica.send(30) == ["ok"] * 30
    assert b":0" not in await valkey.command("EXISTS", "{rushhour}:quota:chat")
    await ledger.aclose()


async def test_without_lua_there_is_a_clear_error_at_the_start(valkey: Any) -> None:
    """A user who may not run scripts: the message names the place, what was said, and what to allow."""
    await valkey.command(*DENIED, "-eval", "-evalsha", "-script")

    with pytest.raises(SettingsError, match=r"127\.0\.0\.1:\d+ refuses us.*allow the commands EVAL and EVALSHA"):
        await RedisLedger.open(valkey.url)


async def test_a_server_that_does_not_know_eval_is_a_clear_error_too() -> None:
    """Some Redis-shaped services have no Lua at all."""
    unknown = b"-ERR unknown command 'EVAL', with args beginning with:\r\n"
    async with stub(lambda words: unknown if words[0].startswith(b"EVAL") else b"+OK\r\n") as url:
        with pytest.raises(SettingsError, match="or use a Redis or Valkey that has them"):
            await RedisLedger.open(url)


async def test_eval_is_enough_where_evalsha_is_blocked(valkey: Any) -> None:
    """Scripts go by their text then."""
    await valkey.command(*DENIED, "-evalsha", "-script")
    replica = Replica(await RedisLedger.open(valkey.url), Limits(6_000, None, burst_s=1))

    assert await replica.send(50) == ["ok"] * 50
    assert replica.ledger.lost_since() is None
    await replica.ledger.aclose()


async def test_scripts_that_were_flushed_are_sent_again(valkey: Any) -> None:
    """SCRIPT FLUSH while we run costs a round trip, not the ledger."""
    replica = Replica(await RedisLedger.open(valkey.url), Limits(6_000, None, burst_s=1))
    await replica.send(5)
    await valkey.command("SCRIPT", "FLUSH")

    assert "scripts run" in await replica.ledger.check()
    assert replica.ledger.lost_since() is None
    await replica.ledger.aclose()


async def test_a_right_that_is_taken_away_later_is_a_lost_ledger(valkey: Any) -> None:
    """No error surfaces, and no attempt a call."""
    watch = Watch()
    replica = Replica(await RedisLedger.open(valkey.url, watch=watch), Limits(60_000, None, burst_s=1))
    await valkey.command(*DENIED, "-eval", "-evalsha")

    assert await replica.send(50) == ["ok"] * 50
    assert "permissions" in (await watch.heard(LedgerLost)).why
    await replica.ledger.aclose()


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password_is_a_clear_error(valkeys: Callable[..., Awaitable[Any]], login: str) -> None:
    """No password, a wrong one, an unknown user; none is repeated in the message."""
    server = await valkeys("--requirepass", "right")

    with pytest.raises(SettingsError, match="Check user and password") as refused:
        await RedisLedger.open(f"redis://{login}127.0.0.1:{server.port}")
    assert ":wrong" not in str(refused.value)
    ledger = await RedisLedger.open(f"redis://:right@127.0.0.1:{server.port}")
    await ledger.aclose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:6379", "redis://"),
        ("", "redis://"),
        ("http://127.0.0.1", "redis://"),
        ("redis://127.0.0.1:port", "Write redis://"),
        ("redis://127.0.0.1/?colour=red", "colour"),
    ],
)
async def test_a_bad_url_is_a_clear_error(url: str, words: str) -> None:
    """Before anything is connected, with an example of a good one."""
    with pytest.raises(SettingsError, match=words):
        await RedisLedger.open(url)


async def test_a_missing_client_library_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is an extra: whoever sets a URL without it is told what to install."""
    monkeypatch.delitem(sys.modules, "rushhour.flow.ledger.redis_connection")
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)

    with pytest.raises(SettingsError, match=r"pip install 'rushhour\[redis\]'"):
        await RedisLedger.open("redis://127.0.0.1")


async def test_a_database_that_does_not_exist_is_a_clear_error(valkey: Any) -> None:
    """The number at the end of the URL."""
    with pytest.raises(SettingsError, match="database number"):
        await RedisLedger.open(f"{valkey.url}/99")


async def test_a_read_only_replica_is_a_clear_error(valkey: Any, valkeys: Callable[..., Awaitable[Any]]) -> None:
    """Leases are written: the primary's address is needed."""
    copy = await valkeys("--replicaof", "127.0.0.1", str(valkey.port))

    with pytest.raises(SettingsError, match="Give the URL of the primary"):
        await RedisLedger.open(copy.url)


async def test_what_is_cached_by_one_is_found_by_the_other(valkey: Any) -> None:
    """By cache and prefix; what is too large is not kept, what has ended is a miss, as is a lost Valkey."""
    one, two = await RedisLedger.open(valkey.url), await RedisLedger.open(valkey.url)
    cache = one.cache("embeddings")
    value = bytes(range(256))

    await cache.put(b"key\x00\xff", value, ttl_s=60)
    await cache.put(b"large", bytes(2 << 20), ttl_s=60)
    await cache.put(b"brief", b"x", ttl_s=0.001)

    assert await two.cache("embeddings").get(b"key\x00\xff") == value
    assert await two.cache("answers").get(b"key\x00\xff") is None
    assert await two.cache("embeddings").get(b"large") is None
    assert b"$-1" in await valkey.command("GET", "nothing else")
    with pytest.raises(ValueError, match="ttl_s is 0"):
        await cache.put(b"key", b"value", ttl_s=0)
    await valkey.kill()
    assert await two.cache("embeddings").get(b"key\x00\xff") is None
    await two.cache("embeddings").put(b"key", b"value", ttl_s=60)
    assert (cache.unkept, cache.hits, cache.misses) == (1, 0, 0)
    await asyncio.gather(one.aclose(), two.aclose())


async def test_what_is_asked_in_one_tick_travels_together(valkey: Any) -> None:
    """A hundred look-ups and two leases: two round trips or three, not a hundred."""
    ledger = await RedisLedger.open(valkey.url)
    cache = ledger.cache("embeddings")
    hops = [stack(Scripted("ok"), Pace(ledger.quota(name, Limits(600)))) for name in ("chat", "embed")]
    trips = ledger.round_trips

    await asyncio.gather(*(hop("q", Call()) for hop in hops), *(cache.get(b"%d" % n) for n in range(100)))

    assert ledger.round_trips - trips <= 3
    await ledger.aclose()


async def test_a_loop_that_stands_still_is_not_a_silent_redis(valkey: Any) -> None:
    """The answer is there when this process comes round to looking: its own stall does not cost it the ledger."""
    ledger = await RedisLedger.open(valkey.url)
    loop = asyncio.get_running_loop()
    checking = asyncio.create_task(ledger.check())
    for _ in range(3):
        await asyncio.sleep(0)
    stands_still_until = loop.time() + 0.4

    while loop.time() < stands_still_until:
        pass

    assert "scripts run" in await checking
    assert ledger.lost_since() is None
    await ledger.aclose()


async def test_the_fake_of_the_unit_tests_does_what_the_script_does(valkey: Any, fake_redis: ModuleType) -> None:
    """The same random calls to both, at the times the real one tells: the same answers and the same state."""
    drawn, model = random.Random(5), fake_redis.Lua()
    link = await RedisAddress(valkey.url).connect("{t}:replicas", "start", 6.0)
    await valkey.command("DEL", "{t}:replicas")
    keys = ("{t}:quota:q", "{t}:wanting:q", "{t}:replicas", "{t}:waiting:q")

    def some(top: float, often: float = 0.5) -> float:
        return drawn.uniform(0, top) if drawn.random() < often else 0.0

    def collect(into: list[Any], _position: int, answer: Any) -> None:
        into.append(answer)

    for number in range(300):
        if number % 60 == 59:
            await valkey.command("DEL", keys[0])
            model.state.clear()
        asks = tuple(
            Ask(
                name,
                depth,
                taken=some(0.3, 0.2) - some(0.1, 0.2),
                taken_lost=some(1.0, 0.2),
                need=(need := some(0.4)),
                want=need + some(2.0),
                ramp=some(1.0),
                most=some(depth, 0.2) or -1.0,
                hint=None if drawn.random() < 0.5 else drawn.uniform(-1, 1),
                call=some(0.3),
            )
            for name, depth in (("requests", 2.0), ("tokens", 0.5))
        )
        lost_s, closed_s = some(drawn.choice([0.05, 0.0005]), 0.3), some(0.02, 0.1)
        call = LeaseCall(asks, lost_s, closed_s, waiting=some(3.0), booked=some(9.0))
        words = call.words(drawn.choice(["a", "b", "c"]))
        answers: list[Any] = []
        await link.exchange([Command(words, LEASE, keys)], partial(collect, answers))
        real = parse_lease(answers[0])

        expected = model.lease(keys, words, real.now)

        assert [float(value) for value in answers[0]] == pytest.approx(expected, abs=1e-6)
    await link.aclose()
