"""Permits: never more than the limit, and every one comes back."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import AttemptTimeout, ConnectionLost, DeadlineExceeded, Rejected, Throttled, Unavailable
from rushhour.flow.algorithms.gradient import Gradient2
from rushhour.flow.call import Call, Lane, stack
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.room import Room
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted, run_virtual


async def letters() -> object:
    """Yield two items."""
    for letter in "ab":
        yield letter


async def test_no_more_than_the_limit_at_once() -> None:
    """Ten calls of a second, three at a time, take four seconds."""
    hop = Scripted("ok", forever=True, seconds=1.0)

    limited = Concurrency(3)

    await asyncio.gather(*(stack(hop, limited)("q", Call()) for _ in range(10)))

    assert hop.peak == 3
    assert asyncio.get_running_loop().time() == pytest.approx(4.0)
    assert limited.in_flight == 0


async def test_a_stream_holds_its_permit_until_it_is_closed() -> None:
    """Returning a stream is not the end of the call (rule 7)."""
    limited = Concurrency(1)
    hop = Scripted(Stream(letters()), Stream(letters()))  # type: ignore[arg-type]  # annotated as an object
    asked = stack(hop, limited)

    stream = await asked("q", Call())
    waiting = asyncio.ensure_future(asked("q", Call()))
    await asyncio.sleep(1)
    assert not waiting.done()

    await stream.aclose()
    assert await waiting is not stream
    assert limited.in_flight == 1


async def test_a_failure_gives_the_permit_back() -> None:
    """An error is a way out too."""
    limited = Concurrency(1)

    with pytest.raises(Unavailable):
        await stack(Scripted(Unavailable()), limited)("q", Call())
    assert limited.in_flight == 0


async def test_people_get_the_next_permit() -> None:
    """Interactive callers pass ingestion, earlier deadlines pass later ones."""
    hop = Scripted("ok", forever=True, seconds=1.0)
    asked = stack(hop, Concurrency(1))
    calls = [
        ("first", Call()),
        ("ingest", Call(lane=Lane.BACKGROUND)),
        ("later", Call(deadline=90)),
        ("sooner", Call(deadline=60)),
    ]

    await asyncio.gather(*(asked(name, call) for name, call in calls))

    assert hop.requests == ["first", "sooner", "later", "ingest"]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32))
def test_no_permit_is_lost_under_random_cancellation(limit: int, seed: int) -> None:
    """Whoever is cancelled, whenever: the limit holds, and all permits are free in the end."""

    async def chaos() -> None:
        dice = random.Random(seed)
        limited = Concurrency(limit)
        hop = Scripted(lambda _: "ok", forever=True, seconds=0.3)
        asked = stack(hop, limited)
        calls = [asyncio.ensure_future(asked("q", Call())) for _ in range(30)]
        for call in dice.sample(calls, 20):
            await asyncio.sleep(dice.choice([0, 0.05, 0.3]))
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert hop.peak <= limit
        assert limited.in_flight == 0
        assert await asked("q", Call()) == "ok"

    run_virtual(chaos())


async def test_a_reservation_is_claimed_by_the_next_call() -> None:
    """What the pacer reserved is there when its call comes, however many wait; nobody else can have it meanwhile."""
    limited = Concurrency(2)
    room: Room = limited
    hop = Scripted("ok", forever=True, seconds=1.0)
    asked = stack(hop, limited)
    room.reserve()
    room.reserve()
    assert not room.free()

    await asyncio.gather(asked("a", Call()), asked("b", Call()), asked("c", Call()))

    assert hop.requests == ["a", "b", "c"]
    assert hop.asked_at == [0, 0, 1]
    assert (limited.in_flight, limited.reserved) == (0, 0)


async def test_an_abandoned_reservation_that_somebody_else_claimed_is_returned_by_him() -> None:
    """Permits are fungible: whoever entered without a reservation holds it now, and nothing is counted twice."""
    limited = Concurrency(1)
    limited.reserve()
    claiming = asyncio.ensure_future(stack(Scripted("ok", seconds=1.0), limited)("q", Call()))
    await asyncio.sleep(0)

    limited.abandon()
    assert (limited.in_flight, limited.reserved, limited.free()) == (1, 0, False)

    await claiming
    assert (limited.in_flight, limited.reserved, limited.free()) == (0, 0, True)


async def test_pacers_are_told_when_there_is_room() -> None:
    """On every return that nobody here waited for, and for an abandoned reservation; never while full."""
    limited, told = Concurrency(1), list[tuple[float, bool]]()
    clock = asyncio.get_running_loop().time
    limited.attach(lambda: told.append((clock(), limited.free())))
    hop = stack(Scripted("ok", forever=True, seconds=1.0), limited)

    await asyncio.gather(hop("q", Call()), hop("q", Call()))
    assert told == [(2.0, True)]

    limited.reserve()
    limited.abandon()
    assert told == [(2.0, True), (2.0, True)]


async def test_whoever_waited_beyond_his_deadline_is_not_served() -> None:
    """The permit goes to the next whose time is not up (rule 4)."""
    hop = Scripted("ok", forever=True, seconds=10.0)
    asked = stack(hop, Concurrency(1))

    replies = await asyncio.gather(
        *(asked(name, Call(deadline=deadline)) for name, deadline in (("a", 99.0), ("b", 5.0), ("c", 90.0))),
        return_exceptions=True,
    )

    assert hop.requests == ["a", "c"]
    assert isinstance(replies[1], DeadlineExceeded)


async def test_the_pace_of_returns_is_how_long_calls_take() -> None:
    """Four permits held for two seconds each come back every half second; failures tell nothing of that."""
    limited = Concurrency(4)
    assert limited.pace() == 0
    for outcome in ("ok", Rejected()):
        hop = stack(Scripted(outcome, forever=True, seconds=2.0 if outcome == "ok" else 0.0), limited)
        await asyncio.gather(*(hop("q", Call()) for _ in range(8)), return_exceptions=True)

    assert limited.pace() == pytest.approx(0.5)


async def test_a_stream_holds_as_long_as_it_is_open_but_is_as_late_as_its_first_token() -> None:
    """Length confounds latency: the hold counts for the pace of returns, the first token for the limit."""
    gradient = Gradient2(initial=2, maximum=2)
    limited = Concurrency(gradient)

    async def answer(_request: str, _call: Call) -> Stream[str]:
        await asyncio.sleep(0.5)
        return Stream(letters())  # type: ignore[arg-type]  # annotated as an object

    for _ in range(20):
        stream = await stack(answer, limited)("q", Call())
        await asyncio.sleep(9.5)
        await stream.aclose()

    assert limited.pace() == pytest.approx(5.0)
    assert gradient._long == pytest.approx(0.5)


async def test_a_learned_limit_lets_more_in_as_it_grows() -> None:
    """Whoever waits here goes as soon as the limit allows, without waiting for a return."""
    limited = Concurrency(Gradient2(initial=4, maximum=40))
    hop = Scripted("ok", forever=True, seconds=1.0)

    await asyncio.gather(*(stack(hop, limited)(n, Call()) for n in range(400)))

    assert hop.peak > 10
    assert limited.limit > 10
    assert limited.in_flight == 0


async def test_overload_shrinks_a_learned_limit() -> None:
    """And below what is in flight nobody is let in until enough have returned."""
    limited = Concurrency(Gradient2(initial=40))
    held = [await stack(Scripted(Stream(letters())), limited)("q", Call()) for _ in range(30)]  # type: ignore[arg-type]  # annotated as an object
    failing = stack(Scripted(AttemptTimeout(), seconds=0.1, forever=True), limited)
    for count in (1, 1, 9):
        await asyncio.gather(*(failing("q", Call()) for _ in range(count)), return_exceptions=True)
    assert limited.limit == 19
    waiting = asyncio.ensure_future(stack(Scripted("ok"), limited)("q", Call()))

    for n, stream in enumerate(held):
        await asyncio.sleep(0)
        assert waiting.done() == (30 - n < 19)
        await stream.aclose()
    assert await waiting == "ok"
    assert limited.in_flight == 0


async def test_a_stream_that_breaks_off_counts_as_overload() -> None:
    """It began well, but the upstream did not bear it."""
    limited = Concurrency(Gradient2(initial=40))

    async def broken() -> object:
        """Yield one item, then stall."""
        yield "a"
        raise AttemptTimeout

    for _ in range(60):
        stream = await stack(Scripted(Stream(broken()), seconds=0.05), limited)("q", Call())  # type: ignore[arg-type]  # annotated as an object
        with pytest.raises(AttemptTimeout):
            [item async for item in stream]

    assert limited.limit < 25
    assert limited.in_flight == 0


@pytest.mark.parametrize("failure", [Throttled(), Rejected(), Unavailable(), ConnectionLost(), KeyError()])
async def test_what_is_no_overload_leaves_the_limit_alone(failure: Exception) -> None:
    """A 429 is about the rate; a wrong request or a bug says nothing of the upstream."""
    limited = Concurrency(Gradient2(initial=40))

    for _ in range(200):
        await asyncio.gather(stack(Scripted(failure, seconds=0.05), limited)("q", Call()), return_exceptions=True)

    assert limited.limit == 40


async def test_who_gave_up_waiting_is_not_remembered() -> None:
    """While one call holds the only permit, ten thousand come and leave: no memory grows."""
    limited = Concurrency(1)
    holding = asyncio.ensure_future(stack(Scripted("ok", seconds=1.0), limited)("q", Call()))
    await asyncio.sleep(0)
    for _ in range(10_000):
        leaving = asyncio.ensure_future(stack(Scripted("never"), limited)("q", Call()))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)

    assert len(limited._waiting) < 200
    assert await holding == "ok"
    assert limited.in_flight == 0


@pytest.mark.parametrize("limit", [0, -3, 2.5, float("nan"), float("inf")])
def test_a_limit_that_is_no_number_of_calls_is_refused(limit: float) -> None:
    """Nobody could ever go, or nobody could say how many."""
    with pytest.raises(ValueError, match="concurrency limit is"):
        Concurrency(limit)  # type: ignore[arg-type]  # wrong on purpose
