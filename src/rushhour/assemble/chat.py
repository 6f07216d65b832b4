"""The chat hop: the generator with its policies, and what answers in its place when it is down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushhour.assemble.ground import Ground
from rushhour.flow.call import Hop, Policy, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.hedge import Hedge, HedgeSettings
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Chat, ChatDelta, ChatRequest
from rushhour.hops.extractive import Extractive
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.settings import ChatSettings

LATE = 0.98
"""Past this quantile of the times to the first token a chat call may be hedged: later than for cheap hops, since each
hedge pays for a prompt."""


def _extractive(_settings: ChatSettings, _ground: Ground) -> Chat:
    return Extractive()


def _openai(settings: ChatSettings, ground: Ground) -> Chat:
    return OpenAIChat(
        ground.openai_transport(settings, "RUSHHOUR_CHAT"),
        settings.model,
        settings.timeout_s,
        max_tokens_key=settings.max_tokens_field,
    )


CHATS: dict[str, Callable[[ChatSettings, Ground], Chat]] = {
    "extractive": _extractive,
    "openai": _openai,
}


def chat_hop(chat: Chat, settings: ChatSettings, ground: Ground) -> Hop[ChatRequest, Stream[ChatDelta]]:
    """Put the policies round a generator."""
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2))
    room = Concurrency(settings.concurrency)
    pace = Pace(ground.quota("chat", settings, settings.rpm, settings.tpm), chat_cost, room=room)
    hedge: tuple[Policy, ...] = ()
    if settings.hedge:
        hedge = (Hedge(pace.take_spare, HedgeSettings(quantile=LATE, share=settings.hedge)),)
    others: tuple[tuple[str, Hop[Any, Any]], ...] = ()
    if settings.provider != "extractive":
        others = (("extractive", Extractive()),)
    policies: tuple[Policy, ...] = (
        Deadline(),
        Fallback(*others),
        Retry(RetrySettings(circuit_patience_s=5.0)),
        breaker,
        pace,
        room,
        *hedge,
        breaker.watch,
    )
    return named(stack(chat, *policies), "chat")


def chat_cost(request: ChatRequest) -> Cost:
    """Charge as OpenAI does: the larger of `max_tokens` and a quarter of the characters."""
    characters = sum(len(message.content) for message in request.messages)
    return Cost(1.0, max(float(request.max_tokens), characters / 4))
