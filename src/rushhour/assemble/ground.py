"""What every hop is built on: the settings, what is closed at the end, who watches, where quotas are kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from rushhour.flow.algorithms.fair_queue import FairQueue
from rushhour.flow.algorithms.gradient import Gradient2
from rushhour.flow.call import Event
from rushhour.flow.ledger.contract import Quota
from rushhour.flow.ledger.limits import Limits
from rushhour.flow.ledger.memory import MemoryQuota
from rushhour.flow.ledger.redis_ledger import RedisLedger
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.pace import CostOf, Pace, PaceSettings
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.settings import OPENAI, ChatSettings, EmbedSettings, RerankSettings, Settings, VectorSettings

Watch = Callable[[Event], None]
HopSettings = EmbedSettings | ChatSettings | VectorSettings | RerankSettings

FIRST_GUESS = 100
"""Calls in flight that a provider is trusted with before its latency has told anything."""
FEWEST = 8
"""Calls in flight that a provider is trusted with however slow it is."""
OURS = ("local", "embedded", "extractive")
"""Providers on this machine: their latency is our own, so their concurrency is what it is set to."""


@dataclass(frozen=True, slots=True)
class Ground:
    """`watch` is told the events that no single call owns; without a `ledger` this process is the only replica.

    `chance` gives each policy that draws lots a generator of its own.
    """

    settings: Settings
    closing: AsyncExitStack
    watch: Watch
    ledger: RedisLedger | None = None
    chance: Callable[[], random.Random] = random.Random

    def pace(
        self, hop: str, settings: HopSettings, rpm: float | None, tpm: float | None, cost: CostOf, concurrency: int
    ) -> tuple[Pace, Concurrency]:
        """Return the pacer and the cap on calls in flight of one hop; they stand in this order."""
        return self._pace(hop, settings, rpm, tpm, cost, concurrency, grows=False)

    def pace_batches(
        self, hop: str, settings: HopSettings, rpm: float | None, tpm: float | None, cost: CostOf, concurrency: int
    ) -> tuple[Pace, Concurrency]:
        """Return the same for calls that take more aboard while they wait."""
        return self._pace(hop, settings, rpm, tpm, cost, concurrency, grows=True)

    def openai_transport(self, settings: EmbedSettings | ChatSettings, prefix: str) -> AiohttpTransport:
        """Open the one set of connections to an OpenAI-compatible provider; `prefix` names its settings."""
        key = settings.api_key
        headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        transport = AiohttpTransport(str(settings.base_url or OPENAI), headers, settings=prefix)
        self.closing.push_async_callback(transport.aclose)
        return transport

    def _pace(
        self,
        hop: str,
        settings: HopSettings,
        rpm: float | None,
        tpm: float | None,
        cost: CostOf,
        concurrency: int,
        *,
        grows: bool,
    ) -> tuple[Pace, Concurrency]:
        waiting = self.settings.queue
        room = Concurrency(_cap(settings, concurrency, limited=rpm is not None or tpm is not None))
        pace = Pace(
            self._quota(hop, Limits(rpm, tpm, settings.burst_s, settings.use)),
            cost,
            FairQueue(waiting.weights, waiting.background_share),
            PaceSettings(max_waiting=waiting.max_waiting),
            self.chance(),
            room=room,
            grows=grows,
        )
        return pace, room

    def _quota(self, hop: str, limits: Limits) -> Quota:
        """Share what is configured; what has to be learned, each replica learns for itself."""
        known = limits.requests_per_minute is not None or limits.tokens_per_minute is not None
        return self.ledger.quota(hop, limits) if self.ledger and known else MemoryQuota(limits)


def _cap(settings: HopSettings, concurrency: int, *, limited: bool) -> int | Gradient2:
    """Learn from latency what a provider bears; one whose rate limit is known is paced by that, and told by no more."""
    if limited or not settings.adaptive or settings.provider in OURS:
        return concurrency
    return Gradient2(initial=min(FIRST_GUESS, concurrency), minimum=min(FEWEST, concurrency), maximum=concurrency)
