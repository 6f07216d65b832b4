"""Rules 1, 2, 3 and 9: what a 429 means, what is tried again, and what opens a circuit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.errors import (
    QuotaExhausted,
    Rejected,
    RetryBudgetSpent,
    RushhourError,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamError,
)
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.policies.breaker import BreakerSettings, Opened
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.retry import Retried
from rushhour.hops.http_errors import provider_error
from rushhour.hops.transport import Peer, Reply
from rushhour.testing import Scripted

Make = Callable[..., Any]

PACE = (
    "Rate limit reached for m in organization o on requests per min (RPM): Limit 60, Used 60, Requested 1. "
    "Please try again in 2s."
)
MONEY = "You exceeded your current quota, please check your plan and billing details."
IMPOSSIBLE = "Request too large for m in organization o on tokens per min (TPM): Limit 1000, Requested 5000."

NEVER_OPENS = BreakerSettings(minimum_calls=1_000_000)


def refusal(message: str, code: str) -> UpstreamError:
    """Return what the adapters make of a 429 with this body."""
    body = msgspec.json.encode({"error": {"message": message, "type": code, "code": code}})
    return provider_error(Peer("api.test"), Reply(429, {"content-type": "application/json"}, body), "m")


async def test_rule_01_a_429_is_a_signal_not_an_error(guarded: Make, limited: Make) -> None:
    """A provider that allows half of what we were told throttles many calls, and each is answered."""
    provider = limited(per_minute=60, depth_s=1)
    chat = guarded(provider, Limits(requests_per_minute=120, burst_s=1))

    replies = await asyncio.gather(*(chat.ask(number) for number in range(40)))

    assert replies == list(range(40))
    assert provider.throttled > 0


async def test_rule_01_a_429_slows_every_waiting_call(guarded: Make) -> None:
    """Nothing is sent before the advised time, neither by the call that met the 429 nor by those behind it."""
    hop = Scripted(Throttled(retry_after=5), *"abcde")
    chat = guarded(hop, Limits(requests_per_minute=600, burst_s=0.1))

    await asyncio.gather(*(chat.ask() for _ in range(5)))

    assert hop.asked_at[0] == 0
    assert len(hop.asked_at) == 6
    assert all(at >= 5 for at in hop.asked_at[1:])


async def test_rule_01_a_429_slows_calls_that_come_later(guarded: Make) -> None:
    """The whole hop waits, even where no limit is known that could hold it back."""
    hop = Scripted(Throttled(retry_after=5), "a", "b")
    chat = guarded(hop, Limits())
    first = asyncio.ensure_future(chat.ask())
    await asyncio.sleep(1.0)

    await asyncio.gather(first, chat.ask())

    assert hop.asked_at[0] == 0
    assert all(at >= 5 for at in hop.asked_at[1:])


async def test_rule_01_no_burst_follows_a_429(guarded: Make) -> None:
    """The provider has just said that its bucket is empty: after the wait, calls go at the limit's rate."""
    hop = Scripted(Throttled(retry_after=5), "ok", forever=True)
    chat = guarded(hop, Limits(requests_per_minute=60, burst_s=60, use=1.0))
    first = asyncio.ensure_future(chat.ask())
    await asyncio.sleep(1.0)

    await asyncio.gather(first, *(chat.ask() for _ in range(9)))

    assert hop.asked_at[-1] - hop.asked_at[1] >= 8.9


async def test_rule_02_a_429_about_pace_waits_as_told(guarded: Make) -> None:
    """The body says two seconds: the call comes back after them, and is answered."""
    hop = Scripted(refusal(PACE, "rate_limit_exceeded"), "ok")

    assert await guarded(hop).ask() == "ok"

    assert 2 <= hop.asked_at[1] <= 3


async def test_rule_02_a_429_about_money_is_fatal_at_once_and_opens_the_hop(guarded: Make) -> None:
    """No waiting helps, and no further call is spent on finding that out again."""
    hop = Scripted(refusal(MONEY, "insufficient_quota"))
    chat = guarded(hop)

    with pytest.raises(QuotaExhausted):
        await chat.ask()
    with pytest.raises(QuotaExhausted):
        await chat.ask(patience=60.0)

    assert asyncio.get_running_loop().time() == 0.0
    assert hop.asked_at == [0]
    assert len(chat.told(Opened)) == 1


async def test_rule_02_without_money_the_answer_degrades(guarded: Make) -> None:
    """The next model answers, at once, and the receipt's label says so."""
    hop = Scripted(refusal(MONEY, "insufficient_quota"))
    chat = guarded(hop, others=[("fallback_model", Scripted("from the other", seconds=1.0, forever=True))])

    assert await chat.ask() == "from the other"

    assert asyncio.get_running_loop().time() == 1.0
    assert [event.label for event in chat.told(Degraded)] == ["fallback_model"]


async def test_rule_02_a_429_about_size_is_fatal_for_this_request_only(guarded: Make) -> None:
    """It is sent once; the next request goes out at once, past no gate and no open circuit."""
    hop = Scripted(refusal(IMPOSSIBLE, "rate_limit_exceeded"), "ok")
    chat = guarded(hop)

    with pytest.raises(TooLarge):
        await chat.ask()
    assert await chat.ask() == "ok"

    assert hop.asked_at == [0, 0]


async def test_rule_03_retry_in_exactly_one_place(guarded: Make) -> None:
    """Each attempt but the first is one retry that was told of: no layer above or below multiplies them."""
    hop = Scripted(Unavailable(), Unavailable(), Unavailable(), "ok")
    chat = guarded(hop)

    assert await chat.ask() == "ok"

    assert [event.attempt for event in chat.told(Retried)] == [1, 2, 3]
    assert len(hop.asked_at) == 4


async def test_rule_03_retries_are_budgeted(guarded: Make) -> None:
    """A hundred calls to a provider that is down make a few dozen retries together, not a few each."""
    hop = Scripted(Unavailable(), forever=True)
    chat = guarded(hop, breaker=NEVER_OPENS)

    failures = [await _failure(chat, patience=60.0) for _ in range(100)]

    assert len(hop.asked_at) <= 100 + 500 // 14
    assert {type(failure) for failure in failures[10:]} == {RetryBudgetSpent}


async def test_rule_03_retries_are_jittered(guarded: Make) -> None:
    """Twenty calls that failed in the same moment do not come back in the same moment."""
    hop = Scripted(*[Unavailable()] * 20, "ok", forever=True)
    chat = guarded(hop, breaker=NEVER_OPENS)

    await asyncio.gather(*(chat.ask() for _ in range(20)))

    assert len(set(hop.asked_at[20:])) == 20


async def test_rule_03_retries_are_bounded_by_the_deadline(guarded: Make) -> None:
    """No attempt begins after it, and the caller knows by then."""
    hop = Scripted(Unavailable(), seconds=0.1, forever=True)

    await _failure(guarded(hop, breaker=NEVER_OPENS), patience=1.0)

    assert len(hop.asked_at) > 1
    assert max(hop.asked_at) < 1.0
    assert asyncio.get_running_loop().time() <= 1.0


@pytest.mark.parametrize("fatal", [Rejected, Unauthorized, TooLarge, QuotaExhausted])
async def test_rule_03_only_what_may_pass_is_tried_again(guarded: Make, fatal: type[RushhourError]) -> None:
    """A refusal that would be repeated word for word is asked for once."""
    hop = Scripted(fatal("no"), "never")

    with pytest.raises(fatal):
        await guarded(hop).ask()

    assert len(hop.asked_at) == 1


async def test_rule_09_a_429_never_counts_against_a_breaker(guarded: Make) -> None:
    """Two hundred in a row, far above every rate and minimum, leave the circuit closed."""
    hop = Scripted(*[Throttled(retry_after=0.01)] * 200, "ok")
    chat = guarded(hop)

    assert await chat.ask() == "ok"

    assert chat.told(Opened) == []


async def test_rule_09_the_failure_rate_counts(guarded: Make) -> None:
    """A provider that fails every call is left alone for a while, 429s between them or not."""
    outcomes = [Unavailable(), Throttled(retry_after=0.01)] * 20
    hop = Scripted(*outcomes, "ok", forever=True)
    chat = guarded(hop, breaker=BreakerSettings(open_s=10.0))

    await asyncio.gather(*(chat.ask() for _ in range(20)))

    (opened,) = chat.told(Opened)
    assert opened.seconds >= 8
    pause = max(later - at for at, later in zip(hop.asked_at, hop.asked_at[1:], strict=False))
    assert pause >= 5


async def test_rule_09_the_slow_call_rate_counts(guarded: Make) -> None:
    """A provider that answers everything, but far too late, is as good as down."""
    chat = guarded(Scripted("late", seconds=3.0, forever=True), breaker=BreakerSettings(slow_s=1.0))

    await asyncio.gather(*(chat.ask() for _ in range(20)))

    assert len(chat.told(Opened)) == 1


async def _failure(chat: Any, patience: float) -> RushhourError:
    with pytest.raises(RushhourError) as raised:
        await chat.ask(patience=patience)
    return raised.value
