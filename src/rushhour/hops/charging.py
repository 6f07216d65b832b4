"""What a chat call is charged against a provider's token limit, by the provider's own rule.

A new rule is one class here and one line in `CHARGING`. A rule is asked before the call is sent, when nobody knows yet
how many tokens the provider will count; one that has to estimate learns from the usage of earlier calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rushhour.flow.algorithms.ratio import TokenRatio
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.ledger.contract import Cost
from rushhour.hops.contract import ChatRequest, Used


class Charging(Protocol):
    """One provider's rule; call it for the cost of a request. `learns` says whether usage makes it better."""

    learns: bool

    def __call__(self, request: ChatRequest) -> Cost:
        """Return what the provider will charge."""
        ...

    def learn(self, event: Event, request: ChatRequest) -> None:
        """Compare what the provider counted for this request, if the event tells that."""
        ...


class OpenAICharging:
    """The larger of `max_tokens` and a quarter of the prompt's characters, whatever the answer turns out to be."""

    learns = False

    def __call__(self, request: ChatRequest) -> Cost:
        """Charge at once what will never be settled."""
        return Cost(1.0, max(float(request.max_tokens), characters(request) / 4))

    def learn(self, event: Event, request: ChatRequest) -> None:
        """Learn nothing: the rule is exact."""


class TokenCharging:
    """The prompt's tokens and `max_tokens`: for providers that count real tokens, not characters."""

    learns = True

    def __init__(self, ratio: TokenRatio | None = None) -> None:
        self._ratio = ratio or TokenRatio()

    def __call__(self, request: ChatRequest) -> Cost:
        """Estimate the prompt by the tokens that its characters were lately."""
        return Cost(1.0, self._ratio.tokens(characters(request)) + request.max_tokens)

    def learn(self, event: Event, request: ChatRequest) -> None:
        """Correct the tokens a character from what was counted; cached tokens are part of the prompt."""
        if isinstance(event, Used):
            self._ratio.learn(characters(request), event.usage.input_tokens)


CHARGING: dict[str, Callable[[], Charging]] = {
    "openai": OpenAICharging,
    "tokens": TokenCharging,
}


class Learning:
    """A policy right round the adapter that tells a rule what each of its requests was counted as."""

    def __init__(self, charging: Charging) -> None:
        self._charging = charging

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Listen to the call's events, which may come long after its stream was handed out."""

        def emit(event: Event) -> None:
            self._charging.learn(event, request)
            call.emit(event)

        return await inner(request, call.telling(emit))


def characters(request: ChatRequest) -> int:
    """Count the characters of a prompt."""
    count = 0
    for message in request.messages:  # a sum of a generator would take twice as long, several times a question
        count += len(message.content)
    return count
