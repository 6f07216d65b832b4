"""The pacer with a cap behind it, with promises, and with a queue that stands."""

import asyncio

import pytest

from rushhour.errors import DeadlineExceeded, RushhourError, WouldMissDeadline
from rushhour.flow.call import Call, Lane, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace
from rushhour.testing import Scripted


def capped(limit: int, rpm: float | None = None) -> tuple[Pace, Concurrency]:
    """Make a pacer in front of so many permits."""
    room = Concurrency(limit)
    return Pace(MemoryQuota(Limits(rpm, burst_s=1, use=1.0)), room=room), room


async def test_no_more_in_flight_than_there_is_room() -> None:
    """Twelve calls of a second each, four at a time, take three seconds, and every permit comes back."""
    hop = Scripted("ok", seconds=1.0, forever=True)
    pace, room = capped(4)

    await asyncio.gather(*(stack(hop, pace, room)(n, Call()) for n in range(12)))

    assert hop.peak == 4
    assert hop.asked_at == pytest.approx([0] * 4 + [1] * 4 + [2] * 4)
    assert (room.in_flight, pace.waiting()) == (0, 0)


async def test_tenants_take_turns_for_permits() -> None:
    """Where permits are scarce rather than requests, a flood still waits behind itself."""
    hop = Scripted("ok", seconds=1.0, forever=True)
    pace, room = capped(1)
    ask = stack(hop, pace, room)
    flood = [asyncio.ensure_future(ask(("flood", n), Call("flood"))) for n in range(20)]
    await asyncio.sleep(0.5)

    await asyncio.gather(*(ask(("other", n), Call("other")) for n in range(3)))

    assert [request[0] for request in hop.requests[:7]].count("other") == 3
    await asyncio.gather(*flood)


async def test_a_person_goes_before_ingestion_for_permits() -> None:
    """Lanes hold for permits as they do for requests."""
    hop = Scripted("ok", seconds=1.0, forever=True)
    pace, room = capped(1)
    ask = stack(hop, pace, room)
    background = [asyncio.ensure_future(ask("file", Call("ingest", lane=Lane.BACKGROUND))) for _ in range(5)]
    await asyncio.sleep(0.5)

    await ask("person", Call("alice"))

    assert hop.requests.index("person") == 1
    await asyncio.gather(*background)


async def test_quota_is_not_spent_on_a_call_without_a_permit() -> None:
    """A caller who leaves while waiting for a permit has cost nothing."""
    hop = Scripted("ok", seconds=10.0, forever=True)
    pace, room = capped(1, rpm=60)
    ask = stack(hop, pace, room)
    first = asyncio.ensure_future(ask("first", Call()))
    await asyncio.sleep(5)
    second = asyncio.ensure_future(ask("second", Call()))
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)

    await first
    assert pace.predict(Cost(), Call(), asyncio.get_running_loop().time()) == 0.0


async def test_a_wait_for_permits_is_predicted() -> None:
    """Once it is known how long permits are held, a call that would come too late is refused at once."""
    hop = Scripted("ok", seconds=2.0, forever=True)
    pace, room = capped(2)
    ask = stack(hop, pace, room)
    await asyncio.gather(*(ask(n, Call()) for n in range(4)))
    begun = asyncio.get_running_loop().time()
    waiting = [asyncio.ensure_future(ask(n, Call())) for n in range(20)]
    await asyncio.sleep(0)

    with pytest.raises(WouldMissDeadline) as refused:
        await ask("late", Call(deadline=begun + 5))

    assert refused.value.retry_after == pytest.approx(19, abs=4)
    await asyncio.gather(*waiting)


async def test_promised_calls_count_in_what_others_are_told() -> None:
    """Who was let in and is still on the way is ahead of whoever asks now, in fair turns."""
    pace, _ = capped(100, rpm=60)
    now = asyncio.get_running_loop().time()

    with pace.promise(Cost(), Call("a")), pace.promise(Cost(), Call("a")), pace.promise(Cost(), Call("a")):
        assert pace.predict(Cost(), Call("a"), now) == pytest.approx(3)
        assert pace.predict(Cost(), Call("b"), now) == pytest.approx(1)

    assert pace.predict(Cost(), Call("a"), now) == 0.0


async def test_nothing_is_spent_on_a_call_that_cannot_finish() -> None:
    """The upstream slows to a third: nearly all it still serves is in time, since the hopeless are never sent."""
    pace, room = capped(1)
    hop = Scripted("ok", forever=True, seconds=0.1)
    ask = stack(hop, Deadline(), pace, room)
    for n in range(20):
        await ask(n, Call())
    sent_before = len(hop.asked_at)
    served: list[int] = []
    told: list[RushhourError] = []

    async def user(n: int) -> None:
        await asyncio.sleep(n * 0.08)
        try:
            await ask(n, Call(deadline=asyncio.get_running_loop().time() + 2.0))
        except (WouldMissDeadline, DeadlineExceeded) as cause:
            told.append(cause)
        else:
            served.append(n)

    hop._seconds = 0.3
    await asyncio.gather(*(user(n) for n in range(500)))

    assert len(served) >= 0.9 * (500 * 0.08 / 0.3)
    assert len(hop.asked_at) - sent_before - len(served) <= 0.15 * len(hop.asked_at)
    assert len(served) + len(told) == 500
    assert (room.in_flight, pace.waiting()) == (0, 0)


async def test_a_standing_queue_serves_its_newest_first() -> None:
    """Once everybody is served too late for a second, the next turn is that of the last who came."""
    hop = Scripted("ok", seconds=1.0, forever=True)
    pace, room = capped(1)
    ask = stack(hop, pace, room)
    loop = asyncio.get_running_loop()
    users = [asyncio.ensure_future(ask(n, Call(deadline=loop.time() + 60 + n))) for n in range(6)]
    await asyncio.sleep(0.5)
    for tenth in range(12):
        pace._standing.note(loop.time() + tenth / 10 - 1.1, late=True)

    await asyncio.gather(*users)

    assert hop.requests[:2] == [0, 5]
