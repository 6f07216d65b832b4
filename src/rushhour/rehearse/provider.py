"""The simulated provider as a rehearsal sees it: started, reset between runs, and asked what each client did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from rushhour.rehearse.floor import CallTokens
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.processes import Child, ChildFailed, leashed, running
from rushhour.rehearse.results import ProviderCalls
from rushhour.rehearse.scenario import Scenario

READY_S = 30.0
_PROBE_EVERY_S = 0.25
_FOR_EVER_S = 7 * 86_400.0
_WORST_FIRST = ("bad", "note", "good")


class Account:
    """What one client did since the last reset, read from the simulator's ledger; absent clients did nothing.

    Without a name it is everybody's: an app of somebody's own calls with what key it likes.
    """

    def __init__(self, state: Mapping[str, Any], client: str | None) -> None:
        clients = state.get("clients", {})
        chosen = clients.values() if client is None else [clients[client]] if client in clients else []
        self._ledgers: list[Mapping[str, Any]] = list(chosen)
        series = state.get("series", {}).get("chat", {})
        self._series = [told for name, told in series.items() if client in (None, name)]
        self.embedded = self._sum("texts", "embedded")
        self.connections = self._sum("connections", "opened")

    @property
    def calls(self) -> ProviderCalls:
        """Requests that arrived, by API."""
        return ProviderCalls(*(self._calls(name) for name in ("embeddings", "vectors", "chat")))

    @property
    def throttled(self) -> int:
        """Requests refused with 429, of whatever kind."""
        return sum(sum(surface["throttled"].values()) for surface in self._surfaces())

    @property
    def tokens(self) -> int:
        """Tokens charged, in and out."""
        return sum(surface["tokens_in"] + surface["tokens_out"] for surface in self._surfaces())

    @property
    def cost_usd(self) -> float:
        """Dollars charged."""
        return float(sum(surface["cost_usd"] for surface in self._surfaces()))

    @property
    def chat_call(self) -> CallTokens | None:
        """Tokens of a chat call, on average of those that were answered; None where none was."""
        surfaces = self._surfaces("chat")
        answered = sum(surface["ok"] for surface in surfaces)
        if not answered:
            return None
        prompt, answer = (sum(surface[name] for surface in surfaces) for name in ("tokens_in", "tokens_out"))
        return CallTokens(prompt / answered, answer / answered)

    @property
    def chat_admitted(self) -> list[int]:
        """Chat calls let through, by the second since the reset; those that then failed are among them."""
        return self._by_second("accepted", "failed")

    @property
    def chat_failed(self) -> list[int]:
        """Chat calls that met a fault, by the second since the reset."""
        return self._by_second("failed")

    @property
    def chat_throttled(self) -> list[int]:
        """Chat calls refused with 429, by the second since the reset."""
        return self._by_second("throttled")

    def _surfaces(self, only: str = "") -> list[Mapping[str, Any]]:
        return [
            surface
            for ledger in self._ledgers
            for name, surface in ledger.get("surfaces", {}).items()
            if only in ("", name)
        ]

    def _calls(self, surface: str) -> int:
        return sum(told["calls"] for told in self._surfaces(surface))

    def _by_second(self, *kinds: str) -> list[int]:
        rows = [told[kind] for told in self._series for kind in kinds if kind in told]
        length = max((len(row) for told in self._series for row in told.values()), default=0)
        return [sum(row[second] for row in rows if second < len(row)) for second in range(length)]

    def _sum(self, part: str, name: str) -> int:
        return sum(ledger.get(part, {}).get(name, 0) for ledger in self._ledgers)


class Provider:
    """The running simulator at `url`; OpenAI's API is at `url/v1`, the vector store's at `url`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, child: Child) -> None:
        self.url = url
        self._session = session
        self._child = child

    async def reset(self) -> None:
        """Fill every bucket, take back every fault that was told, and begin a new ledger; what is stored stays."""
        await self._ask("POST", "/_sim/reset")

    async def state(self) -> dict[str, Any]:
        """Return the ledger since the last reset, with the profile that is played."""
        state: dict[str, Any] = await self._ask("GET", "/_sim/state")
        return state

    async def verdict(self, client: str | None) -> dict[str, Any] | None:
        """Return the simulator's verdict on a client, or on all of them by name; None on one that did nothing."""
        verdicts: dict[str, Any] = (await self._ask("GET", "/_sim/verdict"))["clients"]
        return verdicts.get(client) if client is not None else merged(verdicts)

    async def fail(self, fault: str, surface: str, for_s: float, share: float, factor: float | None) -> None:
        """Let a fault strike a share of the calls of an API from now on, or slow all of them by a factor."""
        order = {"fault": fault, "surface": surface, "for_s": min(for_s, _FOR_EVER_S), "share": share}
        await self._ask("POST", "/_sim/faults", order if factor is None else order | {"factor": factor})

    async def faults(self) -> dict[str, Any]:
        """Return the faults there are, and those that each API was told."""
        told: dict[str, Any] = await self._ask("GET", "/_sim/faults")
        return told

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Watched]:
        """Measure the simulator itself while the block runs: its process, and how long it lets a caller wait."""
        async with self._child.measured() as used:
            found = Watched(used)
            prober = asyncio.create_task(self._probe(found.waits))
            try:
                yield found
            finally:
                prober.cancel()
                await asyncio.gather(prober, return_exceptions=True)

    async def _probe(self, waits: list[float]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await self.faults()
            waits.append(loop.time() - asked)
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self._session.request(method, f"{self.url}{path}", json=body) as response:
            if response.status != 200:
                told = await response.text()
                raise ChildFailed(f"The simulator answered {response.status} to {method} {path}: {told}")
            return await response.json()


@dataclass(slots=True)
class Watched:
    """What the simulator's process used, and how many seconds each of our questions to it waited."""

    used: Measured
    waits: list[float] = field(default_factory=list)


def merged(verdicts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Make one verdict of those on several clients: the worst, and the findings of each under its name."""
    if len(verdicts) <= 1:
        return next(iter(verdicts.values()), None)
    worst = min((told["verdict"] for told in verdicts.values()), key=_WORST_FIRST.index)
    lines = [line | {"text": f"{name}: {line['text']}"} for name, told in verdicts.items() for line in told["lines"]]
    return {"verdict": worst, "lines": sorted(lines, key=lambda line: _WORST_FIRST.index(line["severity"]))}


@asynccontextmanager
async def simulated(scenario: Scenario, env: Mapping[str, str], folder: Path, port: int = 0) -> AsyncIterator[Provider]:
    """Run the simulator with a scenario's profile while the block runs; port 0 takes any free one."""
    argv = leashed(
        "rushhour.simulator",
        *("--port", str(port), "--json", "--profile", scenario.profile, "--seed", str(scenario.seed)),
        *(part for override in scenario.overrides for part in ("--set", override)),
    )
    async with running("simulator", argv, env, folder) as child, aiohttp.ClientSession() as session:
        ready = await child.ready_line(READY_S)
        child.drain()
        yield Provider(str(ready["url"]), session, child)
