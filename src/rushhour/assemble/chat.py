"""The chat hop: the generator with its policies, and what answers in its place when it is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rushhour.assemble.ground import Ground
from rushhour.flow.call import Hop, Policy, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback, Substitute
from rushhour.flow.policies.hedge import Hedge, HedgeSettings
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.stream import Stream
from rushhour.hops.charging import CHARGING, Charging, Learning
from rushhour.hops.contract import Chat, ChatDelta, ChatRequest
from rushhour.hops.extractive import Extractive
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.rag.receipt import Price
from rushhour.settings import ChatSettings, FallbackModel

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


@dataclass(frozen=True, slots=True)
class Generator:
    """The chain of chat models as one hop; `queues` are their pacers, in the order in which they are asked.

    `cost` is what the pacers charge for a prompt. `prices` are by model. `chats` are the bare adapters in that order.
    """

    hop: Hop[ChatRequest, Stream[ChatDelta]]
    model: str
    queues: tuple[Pace, ...]
    cost: Callable[[ChatRequest], Cost]
    prices: Mapping[str, Price]
    chats: tuple[Chat, ...]


def generator(chat: Chat, settings: ChatSettings, ground: Ground) -> Generator:
    """Put the policies round a generator, and its stand-ins behind it."""
    charging = CHARGING[settings.charged]()
    first, pace = _paced(chat, settings, ground, charging)
    queues, others, chats, prices = [pace], [], [chat], {chat.model: _price(settings)}
    for fallback in settings.fallbacks:
        theirs = _as_settings(fallback, settings)
        stand_in = CHATS[settings.provider](theirs, ground)
        policies, their_pace = _paced(stand_in, theirs, ground, charging)
        others.append(Substitute("fallback_model", stack(stand_in, *policies), stand_in.model))
        queues.append(their_pace)
        chats.append(stand_in)
        prices[stand_in.model] = _price(theirs)
    hop = named(stack(chat, Deadline(), Fallback(*others, overloaded="reduced"), *first), "chat")
    return Generator(hop, chat.model, tuple(queues), charging, prices, tuple(chats))


def _paced(chat: Chat, settings: ChatSettings, ground: Ground, charging: Charging) -> tuple[tuple[Policy, ...], Pace]:
    breaker = Breaker(BreakerSettings(slow_s=settings.timeout_s / 2), ground.chance())
    name = f"chat/{settings.base_url or settings.provider}/{chat.model}"
    pace, room = ground.pace(name, settings, settings.rpm, settings.tpm, charging, settings.concurrency)
    patience = RetrySettings(circuit_patience_s=5.0)
    policies: list[Policy] = [Retry(patience, ground.chance()), breaker, pace, room]
    if settings.hedge:
        policies.append(Hedge(pace.take_spare, HedgeSettings(quantile=LATE, share=settings.hedge), room))
    policies.append(breaker.watch)
    if charging.learns:
        policies.append(Learning(charging))
    return tuple(policies), pace


def _as_settings(fallback: FallbackModel, first: ChatSettings) -> ChatSettings:
    """Fill in from the first model what a stand-in leaves out; limits and prices are its own.

    So is the key wherever the place is: one provider's secret is never sent to another.
    """
    told = {
        name: getattr(fallback, name) for name in ("model", "rpm", "tpm", "price_in", "price_cached_in", "price_out")
    }
    elsewhere = fallback.base_url is not None and fallback.base_url != first.base_url
    place = {
        "base_url": fallback.base_url or first.base_url,
        "api_key": fallback.api_key if elsewhere else fallback.api_key or first.api_key,
    }
    return first.model_copy(update={**told, **place, "fallbacks": ()})


def _price(settings: ChatSettings) -> Price:
    return Price(settings.price_in, settings.price_cached_in, settings.price_out)
