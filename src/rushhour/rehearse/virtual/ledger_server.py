"""A Redis in memory, on the loop's clock: what `RedisLedger` needs of one, with the time that a network takes.

The two scripts of `redis_scripts` are here in Python, by the same arithmetic; nothing is ever lost or refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rushhour.flow.ledger.coalescer import Command, Link, Refused
from rushhour.flow.ledger.redis_scripts import BEAT, LEASE
from rushhour.rehearse.virtual.lease_script import Leases, Members

DELAY_S = 0.0005
"""One way between a replica and the server: the same data centre."""


class LedgerServer:
    """One server for all replicas; `connect` is what a ledger is given to reach it."""

    def __init__(self, delay_s: float = DELAY_S) -> None:
        self.delay_s = delay_s
        self._members = Members()
        self._leases = Leases(self._members)
        self._kept: dict[bytes | str, tuple[float, bytes]] = {}

    async def connect(self) -> Link:
        """Open a connection; it takes a round trip."""
        await asyncio.sleep(2 * self.delay_s)
        return _MemoryLink(self)

    def run(self, command: Command) -> Any:
        """Answer one command at once, or with a Refused for one that no ledger sends."""
        now = asyncio.get_running_loop().time()
        words = command.words
        if command.script is LEASE:
            numbers = self._leases.lease(command.keys, [str(word) for word in words], now)
            return [b"%.9f" % number for number in numbers]
        if command.script is BEAT:
            living = self._members.seen(command.keys[0], str(words[0]), float(words[1]), now)
            return [b"%.9f" % now, b"%d" % living]
        match words:
            case ("GET", key):
                return self._get(key, now)
            case ("SET", key, bytes(value), "PX", milliseconds):
                self._kept[key] = (now + float(milliseconds) / 1000, value)
                return b"OK"
            case ("ZREM", key, member):
                return self._members.remove(str(key), str(member))
            case _:
                return Refused(f"the rehearsal's ledger server knows no command {words[0]!r}")

    def _get(self, key: bytes | str, now: float) -> bytes | None:
        until, value = self._kept.get(key, (now, b""))
        if until > now:
            return value
        self._kept.pop(key, None)
        return None


class _MemoryLink:
    """One connection: what is sent together arrives together."""

    def __init__(self, server: LedgerServer) -> None:
        self._server = server

    async def exchange(self, commands: Sequence[Command], heard: Callable[[int, Any], None]) -> None:
        """Send all, and tell the answers by position."""
        await asyncio.sleep(self._server.delay_s)
        answers = [self._server.run(command) for command in commands]
        await asyncio.sleep(self._server.delay_s)
        for position, answer in enumerate(answers):
            heard(position, answer)

    async def aclose(self) -> None:
        """Close nothing."""
