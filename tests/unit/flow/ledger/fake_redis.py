"""Redis on virtual time: the two scripts in Python, with latency and the ways in which a server can be lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rushhour.flow.ledger.coalescer import Command, Lost
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.flow.ledger.redis_scripts import BEAT, LEASE

FIELDS = ("depth", "taken", "taken_lost", "need", "want", "ramp", "most", "hint", "call")
AHEAD_S = 80_000_000.0
"""The server's clock is not the loop's."""


class Lua:
    """What the scripts do, by the same arithmetic; the time is an argument."""

    def __init__(self) -> None:
        self.state: dict[str, dict[str, float]] = {}
        self.seen: dict[str, dict[str, float]] = {}
        self.told: dict[str, dict[str, Sequence[float]]] = {}

    def living(self, key: str, me: str, window: float, now: float) -> int:
        members = self.seen.setdefault(key, {})
        members[me] = now
        self.seen[key] = {who: at for who, at in members.items() if now - window <= at <= now + 1}
        return len(self.seen[key])

    def lease(self, keys: Sequence[str], words: Sequence[str], now: float) -> list[float]:
        me, (living_s, wanting_s, lease_s, round_s, lost_s, closed_s, *mine) = words[0], map(float, words[1:9])
        asks: list[tuple[str, dict[str, Any]]] = [
            (words[at], dict(zip(FIELDS, (float(w) if w else None for w in words[at + 1 : at + 10]), strict=True)))
            for at in range(9, len(words), 10)
        ]
        state = self.state.setdefault(keys[0], {})
        self._set_back(state, now)
        gap, unseen = self._absence(state, lost_s, now)
        gate = state["gate"] = max(state.get("gate", 0.0), now + closed_s if closed_s > 0 else 0.0)
        places = [self._place(state.get(name), ask, gap, unseen, now) for name, ask in asks]
        if closed_s > 0:
            places = [max(place, gate + ask["depth"]) for place, (_, ask) in zip(places, asks, strict=True)]
        first = max(now, gate)
        for place, (_, ask) in zip(places, asks, strict=True):
            first = max(first, max(place, now) + ask["need"] - max(ask["depth"], ask["need"]))
        if any(ask["want"] > 0 for _, ask in asks):
            active = self.living(keys[1], me, wanting_s, now)
        else:
            active = sum(1 for seen in self.seen.get(keys[1], {}).values() if seen >= now - wanting_s)
        living = self.living(keys[2], me, living_s, now)
        others = self._others(keys[3], me, mine, wanting_s, now)
        least = max((ask["need"] for _, ask in asks), default=0.0)
        share, *elsewhere = self._turns(mine, others, least, lease_s, round_s, active)
        reply = [now, living, active, max(gate - now, 0.0), *elsewhere]
        for (name, ask), place in zip(asks, places, strict=True):
            reply += self._grant(state, name, ask, place, first, share, now)
        return reply

    def _others(self, key: str, me: str, mine: list[float], window: float, now: float) -> list[tuple[float, float]]:
        """Return what is left to wait at the others, and what will come back to them."""
        told = self.told.get(key, {})
        others = {who: theirs for who, theirs in told.items() if who != me and now - window <= theirs[2] <= now + 1}
        self.told[key] = others | ({me: (*mine, now)} if sum(mine) > 0 else {})
        waits = mine[0] + sum(theirs[0] for theirs in others.values())
        passed = {who: max(now - theirs[2], 0) / waits if waits else 0.0 for who, theirs in others.items()}
        return [(theirs[0] * max(1 - passed[who], 0), theirs[1]) for who, theirs in others.items()]

    def _turns(
        self,
        mine: list[float],
        others: list[tuple[float, float]],
        least: float,
        lease_s: float,
        round_s: float,
        active: int,
    ) -> tuple[float, float, float]:
        """Return a turn's seconds here, what goes first at the others, and what is asked for there, to what is here."""
        waiting, asked = mine[0], sum(mine)
        left = [waiting, *(amount for amount, _ in others)]
        if max(left) > 0:
            round_s = min(round_s, lease_s * sum(left) / max(left))
        besides = sum(sum(one) / asked if asked else 1.0 for one in others if sum(one) > 0)
        if waiting <= 0:
            return min(lease_s, round_s / max(active, 1)), float(sum(amount > 0 for amount, _ in others)), besides
        turns = [max(least, round_s * amount / sum(left)) for amount in left]
        pairs = zip(left[1:], turns[1:], strict=True)
        beside = sum(min(amount / waiting, turn / turns[0]) for amount, turn in pairs if amount > 0)
        return round_s * waiting / sum(left), float(beside), besides

    def _set_back(self, state: dict[str, float], now: float) -> None:
        """Set every time back with a clock that was."""
        back = max(state.get("at", now) - now, 0.0)
        for name in state:
            if not name.startswith("sum_"):
                state[name] -= back

    def _absence(self, state: dict[str, float], lost_s: float, now: float) -> tuple[float, float]:
        """How much time nobody was there, and what part of an absence is not covered by that."""
        gap = unseen = 0.0
        if lost_s > 0:
            begun = max(now - lost_s, state.get("at", now - lost_s))
            if now - begun >= lost_s / 2:
                gap, state["from"], state["to"] = now - begun, begun, now
            covered = max(min(now, state.get("to", 0.0)) - max(now - lost_s, state.get("from", 0.0)), 0.0)
            unseen = 1 - min(covered / lost_s, 1.0)
        state["at"] = now
        return gap, unseen

    def _place(self, place: float | None, ask: dict[str, Any], gap: float, unseen: float, now: float) -> float:
        """Return the TAT after what this replica tells."""
        if place is None:
            place = now if ask["hint"] is None else now + ask["hint"]
        if gap > 0:
            place = max(place, now - gap) + gap
        taken = ask["taken"] + ask["taken_lost"] * unseen
        place = (max(place, now) if taken > 0 else place) + taken
        return max(place, now + ask["depth"] - ask["most"]) if ask["most"] >= 0 else place

    def _grant(
        self,
        state: dict[str, float],
        name: str,
        ask: dict[str, Any],
        place: float,
        first: float,
        share: float,
        now: float,
    ) -> list[float]:
        start, granted = max(place, first), 0.0
        if ask["want"] > 0:
            credit = max(now + ask["depth"] - start, 0.0)
            granted = max(ask["need"], min(ask["want"], max(share, min(ask["ramp"], credit))))
            if ask["call"]:
                granted = ask["need"] + int((granted - ask["need"]) / ask["call"] + 1e-6) * ask["call"]
            place = start + granted
        state[name] = place
        state["sum_" + name] = total = state.get("sum_" + name, 0.0) + granted + ask["taken"]
        return [start - now, granted, place - now, total]


class FakeRedis:
    """A server on the virtual loop; `up`, `silent` and `cut_off` say how it is, `latency` is one way."""

    def __init__(self, latency: float = 0.001) -> None:
        self.latency = latency
        self.lua = Lua()
        self.up = True
        self.silent = False
        self.cut_off: set[str] = set()
        self.leases = 0
        self.kept: dict[Any, Any] = {}
        self.clock_set = 0.0

    def restart_empty(self) -> None:
        """Forget everything, and be there again."""
        self.lua, self.up, self.silent = Lua(), True, False

    def now(self) -> float:
        """Its own time."""
        return AHEAD_S + self.clock_set + asyncio.get_running_loop().time()

    async def connect(self, who: str) -> FakeLink:
        """Connect as the real one does."""
        await asyncio.sleep(self.latency)
        if not self.up or self.silent or who in self.cut_off:
            raise Lost("refused")
        return FakeLink(self, who)

    async def ledger(self, name: str = "one", **more: Any) -> RedisLedger:
        """Open a replica's ledger on this server."""
        ledger = RedisLedger(partial(self.connect, name), "fake", "test", name, rng=random.Random(name), **more)
        await ledger.start()
        return ledger

    def run(self, command: Command) -> Any:
        """Answer one command."""
        words = [str(word) for word in command.words]
        if command.script is LEASE:
            self.leases += 1
            return [f"{value:.9f}".encode() for value in self.lua.lease(command.keys, words, self.now())]
        if command.script is BEAT:
            living = self.lua.living(command.keys[0], words[0], float(words[1]), self.now())
            return [b"0", str(living).encode()]
        if words[0] == "ZREM":
            return int(self.lua.seen.get(words[1], {}).pop(words[2], None) is not None)
        if words[0] == "GET":
            return self.kept.get(command.words[1])
        self.kept[command.words[1]] = command.words[2]
        return b"OK"


class FakeLink:
    """One connection."""

    def __init__(self, server: FakeRedis, who: str) -> None:
        self._server = server
        self._who = who

    async def exchange(self, commands: Sequence[Command], heard: Callable[[int, Any], None]) -> None:
        """Send, run, answer."""
        await asyncio.sleep(self._server.latency)
        if self._server.silent:
            await asyncio.get_running_loop().create_future()
        if not self._server.up or self._who in self._server.cut_off:
            raise Lost("reset")
        answers = [self._server.run(command) for command in commands]
        await asyncio.sleep(self._server.latency)
        for position, answer in enumerate(answers):
            heard(position, answer)

    async def aclose(self) -> None:
        """Close nothing."""
