"""The reranking hop with its policies, and when it has to leave the time to the generator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import HttpUrl

from rushhour.assemble.ground import Ground
from rushhour.flow.call import Call, Hop, named, stack
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import one_request
from rushhour.flow.policies.retry import Retry
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.cohere_rerank import CohereRerank
from rushhour.hops.contract import Rerank, RerankRequest
from rushhour.hops.local_rerank import LocalRerank
from rushhour.hops.model_files import cores
from rushhour.hops.tei_rerank import TeiRerank
from rushhour.rag.retrieval.rerank import Reranker, RerankingSettings
from rushhour.settings import RerankSettings

COHERE = HttpUrl("https://api.cohere.com/v2")


def _none(_settings: RerankSettings, _ground: Ground) -> None:
    return None


def _local(settings: RerankSettings, ground: Ground) -> Rerank:
    reranker = LocalRerank(settings.model_dir)
    ground.closing.push_async_callback(reranker.aclose)
    return reranker


def _cohere(settings: RerankSettings, ground: Ground) -> Rerank:
    return CohereRerank(_transport(settings, ground), settings.model, settings.timeout_s)


def _tei(settings: RerankSettings, ground: Ground) -> Rerank:
    return TeiRerank(_transport(settings, ground), settings.model or "tei", settings.timeout_s)


RERANKERS: dict[str, Callable[[RerankSettings, Ground], Rerank | None]] = {
    "none": _none,
    "local": _local,
    "cohere": _cohere,
    "tei": _tei,
}


def reranker(
    adapter: Rerank | None, settings: RerankSettings, ground: Ground, needed: Callable[[], float]
) -> Reranker | None:
    """Put the policies round a reranker; `needed` says how many seconds the generator takes."""
    if adapter is None:
        return None
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2), ground.chance())
    # A local one is fastest with as many questions at once as there are cores, for each of them keeps one busy.
    concurrency = min(settings.concurrency, cores()) if settings.provider == "local" else settings.concurrency
    name = f"rerank/{settings.base_url or settings.provider}/{adapter.model}"
    pace, room = ground.pace(name, settings, settings.rpm, None, one_request, concurrency)
    policies = (Deadline(), Retry(rng=ground.chance()), breaker, pace, room, breaker.watch)
    hop: Hop[RerankRequest, list[float]] = named(stack(adapter, *policies), "rerank")

    def wait(request: RerankRequest, call: Call) -> float:
        return pace.predict(one_request(request), call, asyncio.get_running_loop().time())

    chosen = RerankingSettings(min(settings.candidates, adapter.max_texts), settings.weight, settings.timeout_s)
    return Reranker(hop, chosen, wait, needed)


def _transport(settings: RerankSettings, ground: Ground) -> AiohttpTransport:
    key = settings.api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    transport = AiohttpTransport(str(settings.base_url or COHERE), headers, settings="RUSHHOUR_RERANK")
    ground.closing.push_async_callback(transport.aclose)
    return transport
