"""What a chat call is charged, by each rule."""

from __future__ import annotations

import pytest

from rushhour.flow.call import Call, Event, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.hops.charging import CHARGING, Learning, OpenAICharging, TokenCharging
from rushhour.hops.contract import ChatRequest, Message, Usage, Used
from rushhour.testing import Scripted


def asking(characters: int, max_tokens: int = 100) -> ChatRequest:
    """Write a prompt in two turns."""
    return ChatRequest((Message("system", "s" * 100), Message("user", "u" * (characters - 100))), max_tokens)


def test_openai_charges_the_larger_of_two() -> None:
    """A short prompt costs its max_tokens, a long one a quarter of its characters."""
    charge = OpenAICharging()
    assert charge(asking(200, 400)) == Cost(1, 400)
    assert charge(asking(8000, 400)) == Cost(1, 2000)


def test_tokens_are_the_prompts_and_the_answers() -> None:
    """Four characters a token, until usage says otherwise."""
    assert TokenCharging()(asking(8000, 400)) == Cost(1, 2400)


def test_usage_corrects_the_estimate() -> None:
    """After some answers the prompt is charged as it is counted; other events teach nothing."""
    charge = TokenCharging()
    for _ in range(40):
        charge.learn(Used("chat", "m", Usage(4000, 1000, 50)), asking(8000))
        charge.learn(Event("chat"), asking(8000))
    assert charge(asking(8000, 400)).tokens == pytest.approx(4400, rel=0.02)


def test_openais_rule_is_not_corrected() -> None:
    """It is what the provider debits, whatever it counts for the bill."""
    charge = OpenAICharging()
    charge.learn(Used("chat", "m", Usage(4000, 0, 50)), asking(8000))
    assert charge(asking(8000)) == Cost(1, 2000)


async def test_learning_listens_to_each_call() -> None:
    """The policy knows which request an event belongs to, and passes all events on."""
    charge = TokenCharging()
    seen: list[Event] = []

    async def chat(request: ChatRequest, call: Call) -> str:
        call.emit(Used("chat", "m", Usage(request.max_tokens * 10)))
        return "answer"

    hop = stack(chat, Learning(charge))
    for _ in range(100):
        assert await hop(asking(2000, 100), Call(emit=seen.append)) == "answer"

    assert len(seen) == 100
    assert charge(asking(2000, 0)).tokens == pytest.approx(1000, rel=0.02)


async def test_learning_raises_what_the_hop_raises() -> None:
    """A call that fails teaches nothing."""
    charge = TokenCharging()
    with pytest.raises(OSError, match="gone"):
        await stack(Scripted(OSError("gone")), Learning(charge))(asking(2000), Call())
    assert charge(asking(2000, 0)).tokens == 500


@pytest.mark.parametrize("name", CHARGING)
def test_every_rule_charges_something(name: str) -> None:
    """A rule in the registry can be made without arguments, and never charges nothing."""
    cost = CHARGING[name]()(asking(100, 1))
    assert cost.requests == 1
    assert cost.tokens > 0
