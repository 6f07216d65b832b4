"""The one place where anything is tried again."""

import asyncio
import math
import random

import pytest

from rushhour.errors import (
    CircuitOpen,
    ConnectionLost,
    QuotaExhausted,
    RetryBudgetSpent,
    RushhourError,
    Throttled,
    TooLarge,
    Unavailable,
)
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.policies.retry import Retried, Retry, RetrySettings
from rushhour.testing import Scripted


async def test_waits_as_upstream_asked_then_succeeds() -> None:
    """A Retry-After outranks our own backoff, and is never undercut."""
    seen: list[Event] = []
    hop = Scripted(Throttled(retry_after=30), "ok")

    reply = await stack(hop, Retry())("q", Call("acme", emit=seen.append))

    assert reply == "ok"
    assert hop.asked_at[0] == 0
    assert 30 <= hop.asked_at[1] <= 36
    assert [(e.attempt, e.wait) for e in seen if isinstance(e, Retried)] == [(1, hop.asked_at[1])]


@pytest.mark.parametrize("cause", [QuotaExhausted("no money"), TooLarge("never fits")])
async def test_never_retries_what_cannot_pass(cause: Exception) -> None:
    """Money and the impossible fail at once (rule 2)."""
    hop = Scripted(cause)

    with pytest.raises(type(cause)):
        await stack(hop, Retry())("q", Call())
    assert hop.asked_at == [0]


async def test_foreign_errors_are_not_retried() -> None:
    """A bug is not an outage."""
    hop = Scripted(KeyError("oops"))

    with pytest.raises(KeyError):
        await stack(hop, Retry())("q", Call())
    assert len(hop.asked_at) == 1


async def test_gives_up_when_the_deadline_comes_first() -> None:
    """A retry that could not finish in time is not begun; the cause is raised, at once."""
    hop = Scripted(Throttled(retry_after=30))

    with pytest.raises(Throttled):
        await stack(hop, Retry())("q", Call(deadline=20))
    assert asyncio.get_running_loop().time() == 0


async def test_failures_back_off_exponentially_with_full_jitter() -> None:
    """Each wait is drawn from zero to twice the last ceiling."""
    seen: list[Event] = []
    hop = Scripted(*[Unavailable()] * 6, "ok")

    await stack(hop, Retry(rng=random.Random(7)))("q", Call(emit=seen.append))

    waits = [event.wait for event in seen if isinstance(event, Retried)]
    assert all(wait <= 0.05 * 2 ** (n + 1) for n, wait in enumerate(waits))
    assert len(set(waits)) == 6


async def test_a_budget_bounds_retries_and_success_refills_it() -> None:
    """When many calls fail, retries stop adding load; a later success earns some back."""
    retry = Retry(RetrySettings(budget=28, price=14))
    failing = Scripted(ConnectionLost(), forever=True)

    with pytest.raises(RetryBudgetSpent) as refused:
        await stack(failing, retry)("q", Call())
    assert len(failing.asked_at) == 3
    assert isinstance(refused.value.__cause__, ConnectionLost)

    for _ in range(14):
        await stack(Scripted("ok"), retry)("q", Call())
    assert await stack(Scripted(ConnectionLost(), "ok"), retry)("q", Call()) == "ok"


async def test_throttles_do_not_spend_the_budget() -> None:
    """A 429 is a signal, not an error: a thousand of them later a call still gets its answer (rule 1)."""
    hop = Scripted(*[Throttled()] * 1000, "ok")

    assert await stack(hop, Retry(RetrySettings(budget=1)))("q", Call()) == "ok"


async def test_an_open_circuit_is_waited_out_only_so_long() -> None:
    """Where a fallback stands ready, a long rest is raised instead of slept through."""
    patient = Retry(RetrySettings(circuit_patience_s=5))

    assert await stack(Scripted(CircuitOpen(retry_after=2), "ok"), patient)("q", Call()) == "ok"
    with pytest.raises(CircuitOpen):
        await stack(Scripted(CircuitOpen(retry_after=9)), patient)("q", Call())


@pytest.mark.parametrize("advice", [0.0, -5.0, math.nan, math.inf, 1e12])
async def test_absurd_advice_is_no_advice(advice: float) -> None:
    """A Retry-After of zero, below zero, no number or beyond reason: neither spin nor sleep for ever, but back off."""
    hop = Scripted(*[Throttled(retry_after=advice)] * 20, "ok")

    await stack(hop, Retry(rng=random.Random(1)))("q", Call())

    assert 100 < asyncio.get_running_loop().time() < 20 * 20


@pytest.mark.parametrize("advice", [None, 0.0, -1.0, 1e-6, 0.5, math.nan, math.inf, 1e300])
@pytest.mark.parametrize("cause", [Throttled, CircuitOpen])
async def test_for_ever_ends_at_the_deadline(cause: type[RushhourError], advice: float | None) -> None:
    """Whatever an upstream that refuses for ever advises, the cause is raised by the deadline, after few attempts."""
    hop = Scripted(cause(retry_after=advice), forever=True)

    with pytest.raises(cause):
        await stack(hop, Retry(rng=random.Random(1)))("q", Call(deadline=60))

    assert asyncio.get_running_loop().time() <= 60
    assert len(hop.asked_at) <= 150


async def test_short_advice_is_obeyed_at_first() -> None:
    """A bucket that refills in twelve milliseconds is worth coming back to after twelve milliseconds."""
    hop = Scripted(*[Throttled(retry_after=0.1)] * 3, "ok")

    await stack(hop, Retry())("q", Call())

    assert 0.3 <= asyncio.get_running_loop().time() <= 0.36 + 1e-9


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"base_s": 0.0}, "base_s is 0.0"),
        ({"base_s": math.nan}, "base_s is nan"),
        ({"base_s": 30.0}, "base_s is 30.0 and cap_s 20.0"),
        ({"cap_s": math.inf}, "cap_s inf"),
        ({"budget": -1.0}, "budget is -1.0"),
        ({"price": math.nan}, "price is nan"),
        ({"circuit_patience_s": -1.0}, "circuit_patience_s is -1.0"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], named: str) -> None:
    """A backoff of nothing would be a busy loop; the error names what is wrong and what it may be."""
    with pytest.raises(ValueError, match=named):
        RetrySettings(**wrong)
