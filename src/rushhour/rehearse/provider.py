"""The simulated provider as a rehearsal sees it: started, reset between runs, and asked what each client did."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from rushhour.rehearse.processes import Child, ChildFailed, running
from rushhour.rehearse.results import ProviderCalls
from rushhour.rehearse.scenario import Scenario

READY_S = 30.0


class Account:
    """What one client did since the last reset, read from the simulator's ledger; absent clients did nothing."""

    def __init__(self, state: Mapping[str, Any], client: str) -> None:
        ledger = state.get("clients", {}).get(client, {})
        self._surfaces: Mapping[str, Any] = ledger.get("surfaces", {})
        self._series = state.get("series", {}).get("chat", {}).get(client, {})
        self.embedded: int = ledger.get("texts", {}).get("embedded", 0)
        self.connections: int = ledger.get("connections", {}).get("opened", 0)

    @property
    def calls(self) -> ProviderCalls:
        """Requests that arrived, by API."""
        return ProviderCalls(
            *(self._surfaces.get(name, {}).get("calls", 0) for name in ("embeddings", "vectors", "chat"))
        )

    @property
    def throttled(self) -> int:
        """Requests refused with 429, of whatever kind."""
        return sum(sum(surface["throttled"].values()) for surface in self._surfaces.values())

    @property
    def tokens(self) -> int:
        """Tokens charged, in and out."""
        return sum(surface["tokens_in"] + surface["tokens_out"] for surface in self._surfaces.values())

    @property
    def cost_usd(self) -> float:
        """Dollars charged."""
        return float(sum(surface["cost_usd"] for surface in self._surfaces.values()))

    @property
    def chat_admitted(self) -> list[int]:
        """Chat calls let through, by the second since the reset; those that then failed are among them."""
        accepted, failed = self._series.get("accepted", []), self._series.get("failed", [])
        return [ok + broken for ok, broken in zip(accepted, failed, strict=True)]

    @property
    def chat_throttled(self) -> list[int]:
        """Chat calls refused with 429, by the second since the reset."""
        return list(self._series.get("throttled", []))


class Provider:
    """The running simulator at `url`; OpenAI's API is at `url/v1`, the vector store's at `url`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def reset(self) -> None:
        """Fill every bucket and begin a new ledger; what is stored stays."""
        async with self._session.post(f"{self.url}/_sim/reset") as response:
            await _expect_ok(response)

    async def state(self) -> dict[str, Any]:
        """Return the ledger since the last reset, with the profile that is played."""
        async with self._session.get(f"{self.url}/_sim/state") as response:
            await _expect_ok(response)
            state: dict[str, Any] = await response.json()
            return state


async def _expect_ok(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise ChildFailed(f"The simulator answered {response.status} to {response.url}: {await response.text()}")


@asynccontextmanager
async def simulated(scenario: Scenario, env: Mapping[str, str], folder: Path) -> AsyncIterator[Provider]:
    """Run the simulator with a scenario's profile and limit while the block runs."""
    argv = [
        sys.executable, "-m", "rushhour.simulator", "--port", "0", "--json",
        "--profile", scenario.profile, "--seed", str(scenario.seed),
        "--set", f"chat.rpm={scenario.rpm}", "--set", f"chat.burst_s={scenario.burst_s}",
    ]  # fmt: skip
    async with running("simulator", argv, env, folder) as child, aiohttp.ClientSession() as session:
        yield Provider(await _url_of(child), session)


async def _url_of(child: Child) -> str:
    ready = await child.ready_line(READY_S)
    child.drain()
    return str(ready["url"])
