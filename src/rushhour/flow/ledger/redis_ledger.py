"""One ledger for all replicas, on Redis or Valkey: quotas and caches over one connection.

While Redis is out of reach each replica paces to its share, limit / replicas last seen, without burst; what it spends
is told when Redis is back. A Redis that is down at the start is such a time too; then `expected` replicas are assumed.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Any

from rushhour.errors import ConnectionLost, SettingsError
from rushhour.flow.call import Event, ignore
from rushhour.flow.ledger.coalescer import Coalescer, Command, Link, Lost, Refused
from rushhour.flow.ledger.lease_call import LIVING_S, LeaseCall, LeaseReply, ServerClock, parse_lease
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.redis_cache import SharedCache
from rushhour.flow.ledger.redis_quota import RedisQuota
from rushhour.flow.ledger.redis_scripts import BEAT, LEASE

BEAT_S = 2.0
HOP = "ledger"


class LedgerLost(Event, frozen=True):
    """Redis is out of reach: this replica paces to the limit divided by `replicas`."""

    replicas: int
    why: str


class LedgerBack(Event, frozen=True):
    """Redis is in reach again after `seconds`: limits are shared."""

    seconds: float


class RedisLedger:
    """Shared quotas and caches of one replica; make it with `open`."""

    def __init__(
        self,
        connect: Callable[[], Any],
        where: str,
        prefix: str,
        replica: str,
        expected: int = 1,
        watch: Callable[[Event], None] = ignore,
        rng: random.Random | None = None,
    ) -> None:
        self.clock = ServerClock()
        self._where = where
        self._prefix = f"{{{prefix}}}"
        self._replica = replica
        self._living = max(expected, 1)
        self._watch = watch
        self._quotas: dict[str, RedisQuota] = {}
        self._beating: asyncio.Task[None] | None = None
        self._lost_since: float | None = None
        self._why = ""
        self._connect = connect
        self._coalescer = Coalescer(self._link, self._lost, self._back, rng=rng)
        self.patience_s = self._coalescer.patience_s

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        prefix: str = "rushhour",
        replica: str = "",
        expected: int = 1,
        watch: Callable[[Event], None] = ignore,
    ) -> RedisLedger:
        """Connect to `redis://`, `rediss://` or `unix://`; replicas that share a `prefix` share quotas and caches.

        `replica` is a name for people; it need not be unique. SettingsError where no waiting will help: a bad URL, a
        wrong password, no Lua. A Redis that is down is told to `watch`, and looked for in the background.
        """
        try:
            from rushhour.flow.ledger.redis_connection import RedisAddress
        except ModuleNotFoundError as missing:
            raise SettingsError(
                f"A Redis URL is set, but the package {missing.name!r} is not installed: pip install 'rushhour[redis]'."
            ) from None
        address = RedisAddress(url)
        name = f"{replica}:{uuid.uuid4().hex[:12]}" if replica else uuid.uuid4().hex

        async def connect() -> Link:
            return await address.connect(f"{{{prefix}}}:replicas", name, LIVING_S)

        ledger = cls(connect, address.where, prefix, name, expected, watch)
        await ledger.start()
        return ledger

    async def start(self) -> None:
        """Make the first connection, or begin without."""
        try:
            link: Link | None = await self._connect()
        except Lost as why:
            link = None
            self._lost(str(why))
        self._coalescer.start(link)
        if link is not None:
            await self._beat()
        self._beating = asyncio.create_task(self._beat_on())

    def quota(self, name: str, limits: Limits) -> RedisQuota:
        """Return the quota of that name; asking twice is a ValueError, since one pacer serves one quota."""
        if name in self._quotas:
            raise ValueError(f"the quota {name!r} is in use already; each hop needs a name of its own")
        self._quotas[name] = RedisQuota(name, limits, self)
        return self._quotas[name]

    def cache(self, name: str) -> SharedCache:
        """Return the cache of that name."""
        return SharedCache(self._coalescer, f"{self._prefix}:cache:{name}:")

    async def check(self) -> str:
        """Say what was found; ConnectionLost where Redis is out of reach."""
        if not await self._beat():
            why = f" ({self._why})" if self._why else ""
            raise ConnectionLost(
                f"Redis at {self._where} is out of reach{why}; until it is back each replica paces to its share, the "
                f"limit divided by {self._living}."
            )
        return f"{self._where}: scripts run, {self._living} replicas"

    async def aclose(self) -> None:
        """Return what is leased, say goodbye, and close."""
        if self._beating:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*(quota.aclose() for quota in self._quotas.values()))
        await self._goodbye()
        await self._coalescer.aclose()

    # What the quotas ask of their store.

    def lease(self, quota: str, call: LeaseCall) -> asyncio.Future[LeaseReply] | None:
        """Send a lease call with what else this tick sends; None while Redis is out of reach."""
        of = self._prefix
        keys = (f"{of}:quota:{quota}", f"{of}:wanting:{quota}", f"{of}:replicas", f"{of}:waiting:{quota}")
        answer = self._coalescer.submit(Command(call.words(self._replica), LEASE, keys), urgent=True)
        if answer is None:
            return None
        loop = asyncio.get_running_loop()
        sent = loop.time()
        reply: asyncio.Future[LeaseReply] = loop.create_future()

        def heard(answered: asyncio.Future[Any]) -> None:
            if reply.done():
                return
            failed = Lost("closed") if answered.cancelled() else answered.exception()
            if failed is not None:
                reply.set_exception(failed)
                return
            parsed = parse_lease(answered.result())
            self.clock.observe(sent, parsed.now, loop.time())
            self._living = parsed.living
            reply.set_result(parsed)

        answer.add_done_callback(heard)
        return reply

    def lost_since(self) -> float | None:
        """When Redis was last heard of, if it is out of reach."""
        return self._lost_since

    def living(self) -> int:
        """How many replicas were alive when last heard of."""
        return self._living

    @property
    def round_trips(self) -> int:
        """How often Redis was written to and waited for."""
        return self._coalescer.round_trips

    async def _link(self) -> Link:
        try:
            link: Link = await self._connect()
        except SettingsError as cause:  # at the start that would have been the end; now it may still change
            raise Lost(str(cause)) from None
        return link

    def _lost(self, why: str) -> None:
        now = asyncio.get_running_loop().time()
        self._why = why
        self._lost_since = self._coalescer.last_heard
        for quota in self._quotas.values():
            quota.lost(now)
        self._watch(LedgerLost(HOP, self._living, why))

    def _back(self) -> None:
        now = asyncio.get_running_loop().time()
        since, self._lost_since = self._lost_since, None
        self.clock = ServerClock()
        for quota in self._quotas.values():
            quota.back()
        self._watch(LedgerBack(HOP, now - since if since is not None else 0.0))

    async def _beat_on(self) -> None:
        """Show that this replica lives, unless its leases did."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(self._coalescer.last_heard + BEAT_S - loop.time(), BEAT_S / 4))
            if self._coalescer.reachable and loop.time() - self._coalescer.last_heard >= BEAT_S:
                await self._beat()

    async def _beat(self) -> bool:
        beat = Command((self._replica, f"{LIVING_S:.9f}"), BEAT, (f"{self._prefix}:replicas",))
        answer = self._coalescer.submit(beat, urgent=True)
        if answer is None:
            return False
        try:
            _now, living = await answer
        except (Lost, Refused):
            return False
        self._living = int(living)
        return True

    async def _goodbye(self) -> None:
        answer = self._coalescer.submit(Command(("ZREM", f"{self._prefix}:replicas", self._replica)), urgent=True)
        if answer is not None:
            await asyncio.wait([answer])
