"""What every hop is built on: the settings, what is closed at the end, who watches, where quotas are kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from rushhour.flow.call import Event
from rushhour.flow.ledger.contract import Quota
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.settings import OPENAI, ChatSettings, EmbedSettings, Settings, VectorSettings

Watch = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """`watch` is told the events that no single call owns."""

    settings: Settings
    closing: AsyncExitStack
    watch: Watch

    def quota(
        self, hop: str, settings: EmbedSettings | ChatSettings | VectorSettings, rpm: float | None, tpm: float | None
    ) -> Quota:
        """Return the quota of one hop, by requests and tokens a minute."""
        return MemoryQuota(Limits(rpm, tpm, settings.burst_s, settings.use))

    def openai_transport(self, settings: EmbedSettings | ChatSettings, prefix: str) -> AiohttpTransport:
        """Open the one set of connections to an OpenAI-compatible provider; `prefix` names its settings."""
        key = settings.api_key
        headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        transport = AiohttpTransport(str(settings.base_url or OPENAI), headers, settings=prefix)
        self.closing.push_async_callback(transport.aclose)
        return transport
