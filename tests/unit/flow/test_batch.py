"""Late-bound batching: everything that waits goes when the turn comes, and each gets its own reply."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import MalformedReply, QuotaExhausted, Rejected, Throttled, TooLarge, Unavailable
from rushhour.flow.batch import Batch, Batched
from rushhour.flow.call import Call, Event, Lane, Policy, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry
from rushhour.testing import Scripted, run_virtual


def shout(words: Sequence[str]) -> list[str]:
    """Answer each word in capitals; refuse the poisonous one."""
    return [word.upper() for word in words]


def batch(ship: Scripted, *policies: Policy, items: int = 100, size: float = 10_000.0) -> Batch[str, str]:
    """Batch words by their length."""
    return Batch(ship, *policies, max_items=items, max_size=size, size=len, hop="embed")


async def test_what_waits_goes_together() -> None:
    """A thousand queries while one call is under way are one more call."""
    ship = Scripted(shout, forever=True, seconds=1)
    embed = batch(ship, Concurrency(1), items=1000)
    first = asyncio.ensure_future(embed("first", Call()))
    await asyncio.sleep(0.1)

    replies = await asyncio.gather(*(embed(f"q{n}", Call()) for n in range(1000)))

    assert await first == "FIRST"
    assert replies == [f"Q{n}" for n in range(1000)]
    assert [len(request) for request in ship.requests] == [1, 1000]


async def test_the_pacer_decides_when_the_batch_closes() -> None:
    """What arrives while the carrier queues for its turn rides along, and is paid for."""
    ship = Scripted(shout, forever=True)

    def cost(parcel: object) -> Cost:
        return embed.parcel_cost(parcel)  # type: ignore[arg-type]  # the pacer hands over any request

    embed = batch(ship, Pace(MemoryQuota(Limits(6, burst_s=10, use=1.0)), cost))
    await embed("first", Call())
    waiting = []
    for n in range(9):
        waiting.append(asyncio.ensure_future(embed(f"q{n}", Call())))
        await asyncio.sleep(1)
    await asyncio.gather(*waiting)

    assert [len(request) for request in ship.requests] == [1, 9]
    assert ship.asked_at == pytest.approx([0, 10])


async def test_limits_in_items_and_size_are_kept() -> None:
    """No call carries more than the provider takes."""
    ship = Scripted(shout, forever=True, seconds=1)
    embed = batch(ship, Concurrency(2), items=7, size=20)

    await asyncio.gather(*(embed("x" * (1 + n % 9), Call()) for n in range(100)))

    assert all(len(request) <= 7 for request in ship.requests)
    assert all(sum(map(len, request)) <= 20 for request in ship.requests)


async def test_one_that_can_never_fit_is_told_so() -> None:
    """A text larger than any call is refused alone, at once."""
    ship = Scripted(shout, forever=True)

    with pytest.raises(TooLarge, match="at most 10"):
        await batch(ship, size=10)("x" * 11, Call())
    assert ship.requests == []


async def test_who_left_is_not_sent() -> None:
    """A cancelled caller's text is dropped before sending."""
    ship = Scripted(shout, forever=True, seconds=1)
    embed = batch(ship, Concurrency(1))
    first = asyncio.ensure_future(embed("first", Call()))
    await asyncio.sleep(0)
    calls = [asyncio.ensure_future(embed(f"q{n}", Call())) for n in range(4)]
    await asyncio.sleep(0.5)
    calls[1].cancel()
    calls[2].cancel()
    await asyncio.gather(first, *calls, return_exceptions=True)

    assert ship.requests == [["first"], ["q0", "q3"]]


async def test_the_poisonous_one_fails_alone() -> None:
    """A batch that is refused for one text is split until that text stands alone."""

    def refuse_poison(words: Sequence[str]) -> list[str]:
        if "poison" in words:
            raise Rejected("invalid input")
        return shout(words)

    ship = Scripted(refuse_poison, forever=True, seconds=1)
    words = [f"q{n}" for n in range(20)] + ["poison"] + [f"q{n}" for n in range(20, 40)]
    embed = batch(ship)

    replies = await asyncio.gather(*(embed(word, Call()) for word in words), return_exceptions=True)

    assert [reply for reply in replies if isinstance(reply, str)] == [f"Q{n}" for n in range(40)]
    assert isinstance(replies[20], Rejected)
    assert len(ship.requests) <= 14


@pytest.mark.parametrize("cause", [Unavailable("down"), QuotaExhausted("money")])
async def test_a_failure_of_the_provider_fails_all_who_ride(cause: Exception) -> None:
    """An outage is nobody's fault; it is not searched for by splitting."""
    ship = Scripted(cause)

    replies = await asyncio.gather(*(batch_ for batch_ in _ask(batch(ship), 5)), return_exceptions=True)

    assert replies == [cause] * 5
    assert len(ship.requests) == 1


def _ask(embed: Batch[str, str], times: int) -> list[asyncio.Future[str]]:
    return [asyncio.ensure_future(embed(f"q{n}", Call())) for n in range(times)]


async def test_too_few_replies_are_an_error() -> None:
    """Replies are never handed to the wrong caller because one is missing."""
    ship = Scripted(["only one"])

    replies = await asyncio.gather(*_ask(batch(ship), 3), return_exceptions=True)

    assert all(isinstance(reply, MalformedReply) for reply in replies)


async def test_a_retry_takes_on_newcomers_and_drops_who_left() -> None:
    """After a 429 the batch goes again with whoever waits now."""
    ship = Scripted(Throttled(retry_after=5), shout, forever=True)
    embed = batch(ship, Retry(rng=random.Random(0)), Concurrency(1))
    early = _ask(embed, 2)
    await asyncio.sleep(1)
    early[0].cancel()

    assert await early[1] == "Q1"
    assert ship.requests == [["q0", "q1"], ["q1"]]


async def test_people_do_not_wait_behind_ingestion() -> None:
    """An interactive text boards before the background's, whoever came first."""
    ship = Scripted(shout, forever=True, seconds=1)
    embed = batch(ship, Concurrency(1), items=3)
    ingestion = [asyncio.ensure_future(embed(f"chunk{n}", Call(lane=Lane.BACKGROUND))) for n in range(9)]
    await asyncio.sleep(0.5)
    await embed("person", Call())

    assert asyncio.get_running_loop().time() == pytest.approx(2)
    await asyncio.gather(*ingestion)
    assert ship.requests[1][0] == "person"
    assert len(ship.requests[1]) == 3


async def test_each_rider_learns_its_share() -> None:
    """The receipt of each caller names the batch and its part of it."""
    seen: list[Event] = []
    ship = Scripted(shout, forever=True)
    embed = batch(ship)

    await asyncio.gather(embed("a", Call(hop="embed", emit=seen.append)), embed("bbb", Call(emit=seen.append)))

    assert [(event.items, event.share) for event in seen if isinstance(event, Batched)] == [(2, 0.25), (2, 0.75)]


async def test_a_deadline_leaves_the_batch_unharmed() -> None:
    """One impatient caller gives up; the others get their replies."""
    ship = Scripted(shout, forever=True, seconds=2)
    embed = stack(batch(ship), Deadline())
    hasty = asyncio.ensure_future(embed("hasty", Call(deadline=1)))
    patient = asyncio.ensure_future(embed("patient", Call(deadline=9)))

    results = await asyncio.gather(hasty, patient, return_exceptions=True)

    assert results[1] == "PATIENT"
    assert len(ship.requests) == 1


async def test_closing_cancels_who_waits() -> None:
    """A shutdown leaves no caller hanging."""
    embed = batch(Scripted(shout, forever=True, seconds=60))
    calls = _ask(embed, 3)
    await asyncio.sleep(1)

    await embed.aclose()

    assert all(isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*calls, return_exceptions=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 3))
def test_everyone_gets_their_own_reply_whatever_happens(seed: int, items: int, at_once: int) -> None:
    """Random arrivals, failures and departures: a reply is the caller's own, and nobody is forgotten."""

    async def chaos() -> None:
        dice = random.Random(seed)

        def moody(words: Sequence[str]) -> list[str]:
            if dice.random() < 0.2:
                raise Throttled(retry_after=1)
            if dice.random() < 0.1:
                raise Unavailable
            return shout(words)

        ship = Scripted(moody, forever=True, seconds=0.2)
        limited = Concurrency(at_once)
        embed = batch(ship, Retry(rng=dice), limited, items=items)
        calls = []
        for n in range(40):
            calls.append(asyncio.ensure_future(embed(f"q{n}", Call())))
            if dice.random() < 0.3:
                dice.choice(calls).cancel()
            await asyncio.sleep(dice.choice([0, 0, 0.05]))
        results = await asyncio.gather(*calls, return_exceptions=True)
        for n, result in enumerate(results):
            assert result == f"Q{n}" or isinstance(result, asyncio.CancelledError)
        assert limited.in_flight == 0
        assert ship.peak <= at_once

    run_virtual(chaos())


async def test_departures_keep_their_distance_in_a_rush() -> None:
    """A lone request goes at once; of a crowd each carrier takes what arrived since the last one left."""
    ship = Scripted(shout, forever=True, seconds=1)
    embed: Batch[str, str] = Batch(ship, max_items=100, max_size=1000, size=len, spacing_s=0.1)
    calls = []
    for n in range(40):
        calls.append(asyncio.ensure_future(embed(f"q{n}", Call())))
        await asyncio.sleep(0.01)
    await asyncio.gather(*calls)

    assert ship.requests[0] == ["q0"]
    assert ship.asked_at == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
