"""Rules 4, 5 and 6: one deadline, early and honest refusals, fair turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rushhour.errors import DeadlineExceeded, QueueFull, Refusal, WouldMissDeadline
from rushhour.flow.admission import Admission
from rushhour.flow.call import Call, Lane
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.policies.breaker import BreakerSettings
from rushhour.rag.answering.answer import Answerer
from rushhour.rag.answering.pressure import Pressure
from rushhour.rag.contract import Question
from rushhour.server.failures import failure
from rushhour.testing import Scripted

Make = Callable[..., Any]

ONE_A_SECOND = Limits(requests_per_minute=60, burst_s=1, use=1.0)
TEN_A_SECOND = Limits(requests_per_minute=600, burst_s=0.1, use=1.0)
VECTOR = np.ones(4, dtype=np.float32) / 2


async def test_rule_04_one_deadline_travels_through_every_hop(guarded: Make, library: Make, written: Make) -> None:
    """The generator has what is left of the question's time, not a time of its own; the embedder at most as much."""
    embed, chat = Scripted(VECTOR, seconds=3.0), Scripted(written("so"), seconds=2.0)
    ask = Answerer(library(guarded(embed).hop), guarded(chat).hop, "m", {})

    async with await ask(Question("manual", "what is with?"), Call(deadline=30.0)) as answer:
        pieces = [piece async for piece in answer]

    assert len(pieces) == 3
    assert chat.asked_at == [3.0]
    assert chat.calls[0].deadline == 30.0
    assert embed.calls[0].deadline <= 30.0


async def test_rule_04_the_deadline_ends_everything(guarded: Make, library: Make) -> None:
    """Time that the embedder took is not there for the generator: the whole ends when the question's time is up."""
    embed, chat = Scripted(VECTOR, seconds=3.0), Scripted("never", seconds=60.0)
    ask = Answerer(library(guarded(embed).hop), guarded(chat).hop, "m", {})

    with pytest.raises(DeadlineExceeded):
        await ask(Question("manual", "what is with?"), Call(deadline=10.0))

    assert asyncio.get_running_loop().time() == 10.0
    assert chat.running == 0


async def test_rule_04_nothing_is_spent_on_a_call_that_cannot_finish_in_time(guarded: Make, library: Make) -> None:
    """The generator's queue is asked first: where it is too long, the embedder is not paid for."""
    chat = guarded(Scripted("ok", forever=True), ONE_A_SECOND)
    embed = Scripted(VECTOR, forever=True)
    pressure = Pressure(Admission(chat.pace), lambda _request: Cost())
    ask = Answerer(library(embed), chat.hop, "m", {}, pressure=pressure)
    rush = [asyncio.ensure_future(chat.ask()) for _ in range(60)]
    await asyncio.sleep(0)

    with pytest.raises(WouldMissDeadline):
        await ask(Question("manual", "what is with?"), Call("acme", deadline=10.0))

    assert asyncio.get_running_loop().time() == 0
    assert embed.asked_at == []
    await asyncio.gather(*rush)


async def test_rule_05_refuse_early_and_honestly(guarded: Make) -> None:
    """Who cannot be served in time knows at once, and is served when it comes back at the advised time."""
    hop = Scripted("ok", forever=True)
    chat = guarded(hop, ONE_A_SECOND)
    rush = [asyncio.ensure_future(chat.ask()) for _ in range(31)]
    await asyncio.sleep(0)

    with pytest.raises(WouldMissDeadline) as refused:
        await chat.ask(patience=5.0)

    assert asyncio.get_running_loop().time() == 0
    assert refused.value.retry_after is not None
    assert 30 <= refused.value.retry_after <= 35
    await asyncio.sleep(refused.value.retry_after)
    assert await chat.ask(patience=5.0) == "ok"
    await asyncio.gather(*rush)


async def test_rule_05_the_refusal_names_the_time_in_its_headers(guarded: Make) -> None:
    """Clients of every kind read when to come back, and are told that coming back is right."""
    chat = guarded(Scripted("ok", forever=True), ONE_A_SECOND)
    rush = [asyncio.ensure_future(chat.ask()) for _ in range(31)]
    await asyncio.sleep(0)

    with pytest.raises(WouldMissDeadline) as refused:
        await chat.ask(patience=5.0)

    said = failure(refused.value, "request-1")
    headers = dict(said.headers)
    assert said.status == 429
    assert 30 <= int(headers[b"retry-after"]) <= 36
    assert 30_000 <= int(headers[b"retry-after-ms"]) <= 35_000
    assert headers[b"x-should-retry"] == b"true"
    await asyncio.gather(*rush)


async def test_rule_05_the_advice_is_jittered(guarded: Make) -> None:
    """Those who were refused together are not sent to come back together."""
    chat = guarded(Scripted("ok", forever=True), ONE_A_SECOND)
    rush = [asyncio.ensure_future(chat.ask()) for _ in range(31)]
    await asyncio.sleep(0)

    refusals = await asyncio.gather(*(chat.ask(patience=5.0) for _ in range(20)), return_exceptions=True)

    assert len({refused.retry_after for refused in refusals if isinstance(refused, WouldMissDeadline)}) == 20
    await asyncio.gather(*rush)


async def test_rule_05_the_queue_is_bounded(guarded: Make) -> None:
    """Patience without end does not make a queue without end."""
    chat = guarded(Scripted("ok", forever=True), ONE_A_SECOND, max_waiting=10)

    outcomes = await asyncio.gather(*(chat.ask() for _ in range(15)), return_exceptions=True)

    assert outcomes.count("ok") == 11
    refused = [outcome for outcome in outcomes if isinstance(outcome, QueueFull)]
    assert len(refused) == 4
    assert all(one.retry_after and one.retry_after >= 10 for one in refused)


async def test_rule_06_a_tenant_that_floods_waits_behind_itself(guarded: Make) -> None:
    """Whoever comes after a flood of ninety calls is served next, not after it."""
    hop = Scripted(lambda request: request, forever=True)
    chat = guarded(hop, TEN_A_SECOND)
    flood = [asyncio.ensure_future(chat.ask("flood", "flooding")) for _ in range(90)]
    await asyncio.sleep(1.0)
    begun = asyncio.get_running_loop().time()

    await asyncio.gather(*(chat.ask("mine", "modest") for _ in range(3)))

    assert asyncio.get_running_loop().time() - begun <= 0.75
    await asyncio.gather(*flood)
    assert asyncio.get_running_loop().time() == pytest.approx(9.2, abs=0.2)


async def test_rule_06_interactive_work_goes_before_ingestion_which_never_starves(guarded: Make) -> None:
    """While both wait, ingestion that was there first gets its tenth, and people get the rest."""
    hop = Scripted(lambda request: request, forever=True)
    chat = guarded(hop, TEN_A_SECOND)
    crowd = [asyncio.ensure_future(chat.ask("document", "b", lane=Lane.BACKGROUND)) for _ in range(50)]
    crowd += [asyncio.ensure_future(chat.ask("question", "a", lane=Lane.INTERACTIVE)) for _ in range(100)]

    await asyncio.gather(*crowd)

    rush = hop.requests[1:101]
    assert 8 <= rush.count("document") <= 12
    assert hop.requests[112:] == ["document"] * 38


async def test_rule_06_no_refusal_for_what_a_flood_alone_explains(guarded: Make) -> None:
    """A flood's backlog is not held against others: their wait is predicted as their own."""
    chat = guarded(Scripted("ok", forever=True), TEN_A_SECOND, breaker=BreakerSettings())
    flood = [asyncio.ensure_future(chat.ask("f", "flooding")) for _ in range(300)]
    await asyncio.sleep(0)

    assert await chat.ask("q", "modest", patience=2.0) == "ok"
    with pytest.raises(Refusal):
        await chat.ask("f", "flooding", patience=2.0)

    await asyncio.gather(*flood)
