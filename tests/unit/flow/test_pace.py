"""The pacer: at the limit, in fair order, one gate for all, honest refusals."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from rushhour.errors import CircuitOpen, ConnectionLost, DeadlineExceeded, QueueFull, Throttled, WouldMissDeadline
from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call, Event, Hop, Lane, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import SLIP, Admitted, Gated, Pace, PaceSettings, Queued
from rushhour.flow.policies.retry import Retry
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted


def pace(rpm: float | None = 60, burst_s: float = 1, tpm: float | None = None, **more: object) -> Pace:
    """One call a second, with a burst of one, unless told otherwise."""
    return Pace(MemoryQuota(Limits(rpm, tpm, burst_s, use=1.0)), **more)  # type: ignore[arg-type]  # any keyword of Pace


async def send_all(hop: Scripted, paced: Pace, calls: Sequence[Call]) -> list[object]:
    """Send all calls at once; return replies and errors."""
    asked = stack(hop, paced)
    return [*await asyncio.gather(*(asked(n, call) for n, call in enumerate(calls)), return_exceptions=True)]


async def test_sends_at_the_limit() -> None:
    """Ten calls at one a second leave at seconds 0 to 9."""
    hop = Scripted("ok", forever=True)

    await send_all(hop, pace(), [Call()] * 10)

    assert hop.asked_at == pytest.approx(list(range(10)))


async def test_burst_credit_is_used() -> None:
    """A provider's minute-deep bucket lets the first sixty go at once: nobody waits for nothing."""
    hop = Scripted("ok", forever=True)

    await send_all(hop, pace(burst_s=60), [Call()] * 62)

    assert hop.asked_at[:60] == [0.0] * 60
    assert hop.asked_at[60:] == pytest.approx([1.0, 2.0])


async def test_tokens_and_requests_are_debited_together() -> None:
    """The scarcer of both dimensions decides."""
    hop = Scripted("ok", forever=True)
    paced = pace(rpm=600, tpm=6000, cost=lambda request: Cost(1, 50))

    await send_all(hop, paced, [Call()] * 5)

    assert hop.asked_at == pytest.approx([0, 0, 0.5, 1.0, 1.5])


async def test_a_429_gates_the_whole_hop() -> None:
    """Every waiting call is slowed by one call's 429, and none surfaces (rule 1)."""
    seen: list[Event] = []
    hop = Scripted(Throttled(retry_after=10), "ok", forever=True)
    asked = stack(hop, Retry(), pace(rpm=600, burst_s=1, rng=random.Random(3)))

    replies = await asyncio.gather(*(asked(n, Call(emit=seen.append)) for n in range(30)))

    assert replies == ["ok"] * 30
    assert [event for event in seen if isinstance(event, Gated)]
    after = [when for when in hop.asked_at if when > 0]
    assert min(after) >= 10


async def test_after_a_429_there_is_no_burst() -> None:
    """The provider's bucket is empty then: the next calls go out one by one."""
    hop = Scripted(Throttled(retry_after=10), "ok", forever=True)
    paced = pace(rpm=60, burst_s=60, settings=PaceSettings(gate_jitter=0.0))
    asked = stack(hop, paced)
    with pytest.raises(Throttled):
        await asked("first", Call())

    await asyncio.gather(*(asked(n, Call()) for n in range(3)))

    assert hop.asked_at[1:] == pytest.approx([11.0, 12.0, 13.0])


async def test_refuses_at_once_what_would_miss_its_deadline() -> None:
    """The refusal is immediate and names the time after which the call would fit (rule 5)."""
    hop = Scripted("ok", forever=True)

    replies = await send_all(hop, pace(), [Call(deadline=SLIP * 5)] * 10)

    refused = [reply for reply in replies if isinstance(reply, WouldMissDeadline)]
    assert len(refused) == 4
    assert len(hop.asked_at) == 6
    assert all(reply.retry_after is not None and 5 < reply.retry_after < 12 for reply in refused)


async def test_a_refused_caller_who_obeys_is_served() -> None:
    """The advised time is honest: coming back then succeeds."""
    hop = Scripted("ok", forever=True)
    paced = pace()
    asked = stack(hop, paced)
    first = [asyncio.ensure_future(asked(n, Call(deadline=SLIP * 5))) for n in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(WouldMissDeadline) as refused:
        await asked("late", Call(deadline=SLIP * 5))
    await asyncio.gather(*first)

    assert refused.value.retry_after is not None
    await asyncio.sleep(refused.value.retry_after)
    now = asyncio.get_running_loop().time()
    assert await asked("late", Call(deadline=now + SLIP * 5)) == "ok"


async def test_a_refused_crowd_that_obeys_is_served() -> None:
    """Two hundred who all could not be served in time come back when they were told, one after another."""
    loop = asyncio.get_running_loop()
    pace = Pace(MemoryQuota(Limits(60, None, burst_s=1, use=1.0)), settings=PaceSettings(gate_jitter=0.0))
    hop, refused = stack(Scripted("ok", forever=True), pace), 0

    async def patient() -> float:
        nonlocal refused
        for _attempt in range(2):
            try:
                await hop("q", Call(deadline=loop.time() + SLIP * 20.0))
            except WouldMissDeadline as cause:
                refused += 1
                await asyncio.sleep(cause.retry_after or 0.0)
            else:
                return loop.time()
        raise AssertionError("refused twice, although the advice was obeyed")

    done = await asyncio.gather(*(patient() for _ in range(220)))

    assert refused == 199
    assert max(done) <= 220 * 1.2


async def test_a_call_that_failed_after_its_turn_goes_before_those_who_came_later() -> None:
    """It waits again with the deadline it came with, so the queue that has grown meanwhile is none of its concern."""
    hop = Scripted(ConnectionLost(), "ok", forever=True)
    asked = stack(hop, Retry(), pace())
    first = asyncio.ensure_future(asked("first", Call(deadline=30)))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(asked(n, Call(deadline=100))) for n in range(60)]

    assert await first == "ok"

    assert hop.requests == ["first", "first"]
    await asyncio.gather(*others)


async def test_who_met_an_open_circuit_has_had_no_turn() -> None:
    """The crowd after an outage is refused on arrival with a time to come back, and not kept until its deadline."""
    hop = Scripted("ok", forever=True)
    loop = asyncio.get_running_loop()

    async def circuit(request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        if loop.time() < 2.0:
            raise CircuitOpen("It rests.", retry_after=2.0 - loop.time())
        return await inner(request, call)

    asked = stack(hop, Retry(), circuit, pace())

    replies = await asyncio.gather(*(asked(n, Call(deadline=20.0)) for n in range(200)), return_exceptions=True)

    assert replies.count("ok") >= 17
    assert {type(reply) for reply in replies if reply != "ok"} == {WouldMissDeadline}


async def test_a_reader_who_leaves_early_says_nothing_of_how_long_answers_take() -> None:
    """Answers take ten seconds; those who left after the first word do not make them look shorter."""
    loop = asyncio.get_running_loop()

    async def answering(_request: Any, _call: Call) -> Stream[str]:
        async def words() -> AsyncIterator[str]:
            yield "first"
            await asyncio.sleep(10.0)
            yield "last"

        return Stream(words())

    asked = stack(answering, pace())
    async with await asked("q", Call()) as whole:
        assert [word async for word in whole] == ["first", "last"]
    for _ in range(30):
        async with await asked("q", Call()) as left:
            assert await anext(left) == "first"
    busy = asyncio.ensure_future(asked("q", Call()))
    await asyncio.sleep(0)

    with pytest.raises(WouldMissDeadline):  # the turn comes in a second, the last word in eleven
        await asked("q", Call(deadline=loop.time() + 5.0))
    await (await busy).aclose()


async def test_the_queue_is_bounded() -> None:
    """Beyond the waiting room there is a refusal, never a longer queue."""
    hop = Scripted("ok", forever=True)

    replies = await send_all(hop, pace(settings=PaceSettings(max_waiting=3)), [Call()] * 6)

    assert [type(reply) for reply in replies].count(QueueFull) == 2


async def test_a_caller_who_leaves_frees_its_place() -> None:
    """Cancelled in the queue, its turn goes to the next, and nothing is lost."""
    hop = Scripted("ok", forever=True)
    paced = pace()
    asked = stack(hop, paced)
    calls = [asyncio.ensure_future(asked(n, Call())) for n in range(5)]
    await asyncio.sleep(0.5)
    for call in calls[1:4]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert hop.requests == [0, 4]
    assert hop.asked_at == pytest.approx([0, 1])
    assert paced.waiting() == 0


async def test_a_turn_that_comes_as_the_caller_leaves_is_passed_on() -> None:
    """Permission that nobody uses is given back to the quota."""
    hop = Scripted("ok", forever=True)
    asked = stack(hop, pace())
    await asked("first", Call())
    leaving = asyncio.ensure_future(asked("leaving", Call()))
    staying = asyncio.ensure_future(asked("staying", Call()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(1.0, leaving.cancel)
    await asyncio.gather(leaving, staying, return_exceptions=True)

    assert hop.requests[-1] == "staying"
    assert hop.asked_at[-1] <= 2.0 + 1e-6


async def test_people_go_before_ingestion() -> None:
    """The interactive lane is served first, and ingestion is not starved."""
    hop = Scripted("ok", forever=True)
    asked = stack(hop, pace())
    background = [asyncio.ensure_future(asked("ingest", Call(lane=Lane.BACKGROUND))) for _ in range(10)]
    await asyncio.sleep(0)
    people = [asyncio.ensure_future(asked("person", Call())) for _ in range(20)]
    await asyncio.gather(*background, *people)

    assert hop.requests[1:10].count("person") >= 8
    assert "ingest" in hop.requests[1:21]


async def test_position_and_eta_are_told() -> None:
    """Whoever waits learns its place and the time it will take; who went learns what it took."""
    seen: list[Event] = []
    hop = Scripted("ok", forever=True)

    await send_all(hop, pace(), [Call(hop="chat", emit=seen.append)] * 3)

    assert [(e.hop, e.position, round(e.eta, 6)) for e in seen if isinstance(e, Queued)] == [
        ("chat", 0, 1.0),
        ("chat", 1, 2.0),
    ]
    assert [e.waited for e in seen if isinstance(e, Admitted)] == pytest.approx([0, 1, 2])


async def test_nothing_is_served_after_its_deadline() -> None:
    """A call that the gate outlasted is turned away, not sent for nothing."""
    hop = Scripted(Throttled(retry_after=60), "ok", forever=True)
    asked = stack(hop, Deadline(), pace(rpm=6000))
    with pytest.raises(Throttled):
        await asked("first", Call())
    calls = [asyncio.ensure_future(asked(n, Call(deadline=30))) for n in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(result, DeadlineExceeded | WouldMissDeadline) for result in results)
    assert hop.requests == ["first"]


async def test_without_limits_nobody_waits() -> None:
    """No limit configured means no pacing, but the gate still works."""
    hop = Scripted("ok", forever=True)

    await send_all(hop, pace(rpm=None), [Call()] * 100)

    assert hop.asked_at == [0.0] * 100


@pytest.mark.parametrize("rpm", [0, -1, float("inf"), float("nan"), 1e15])
def test_absurd_limits_are_refused(rpm: float) -> None:
    """Limits of zero, below zero or beyond reason are named in the error."""
    with pytest.raises(ValueError, match="requests_per_minute"):
        Limits(rpm)


def told(remaining: float, limit: float = 60) -> LimitsSeen:
    """Say how many requests the provider has left."""
    return LimitsSeen("chat", LimitHeaders(requests=Allowance(limit, remaining, None)))


class Telling:
    """A provider that answers after a while and says what was left when the call came in."""

    def __init__(self, *remaining: float, limit: float = 60) -> None:
        self.remaining = list(remaining)
        self.limit = limit
        self.asked_at: list[float] = []

    async def __call__(self, request: object, call: Call) -> str:
        """Answer, stating the limit while the script lasts."""
        loop = asyncio.get_running_loop()
        self.asked_at.append(loop.time())
        await asyncio.sleep(0.5)
        if self.remaining:
            call.emit(told(self.remaining.pop(0), self.limit))
        return "ok"


async def test_what_the_provider_did_not_count_comes_back() -> None:
    """The provider says that its bucket is full still: who would have waited for ours to refill goes at once."""
    provider = Telling(*[60] * 30)
    asked = stack(provider, pace(burst_s=60))
    for n in range(30):  # half a second each: thirty taken, fifteen refilled
        await asked(n, Call())
    await asyncio.gather(*(asked(n, Call()) for n in range(55)))

    assert provider.asked_at[30:] == pytest.approx([15.0] * 55)


async def test_somebody_else_on_the_same_account_is_seen() -> None:
    """The provider says that its bucket is emptier than ours: we slow down before it has to say 429."""
    provider = Telling(0)
    asked = stack(provider, pace(burst_s=60))
    await asked("first", Call())
    await asyncio.gather(*(asked(n, Call()) for n in range(3)))

    assert provider.asked_at[1] >= 1.0
    assert provider.asked_at[2] - provider.asked_at[1] == pytest.approx(1.0)


async def test_another_limit_than_the_configured_one_is_not_believed() -> None:
    """A proxy's or another model's headers do not confuse the pacer."""
    provider = Telling(0, limit=999)
    asked = stack(provider, pace(burst_s=60))
    await asked("first", Call())
    await asyncio.gather(*(asked(n, Call()) for n in range(3)))

    assert provider.asked_at[1:] == pytest.approx([0.5] * 3)


async def test_a_timer_need_not_tell_when_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """On uvloop a timer that is due at once is a mere handle; callers who come and go meanwhile are served."""
    loop = asyncio.get_running_loop()
    real = loop.call_at

    class Handle:
        def __init__(self, timer: asyncio.TimerHandle) -> None:
            self.cancel = timer.cancel

    def call_at(*timer: Any, **more: Any) -> Any:
        return real(*timer, **more) if more else Handle(real(*timer))

    monkeypatch.setattr(loop, "call_at", call_at)
    pace = Pace(MemoryQuota(Limits(600, None, burst_s=0.1)))
    hop = stack(Scripted("ok", forever=True), pace)
    calls = [asyncio.ensure_future(hop("q", Call())) for _ in range(20)]
    await asyncio.sleep(0.25)
    for leaving in calls[5::2]:
        leaving.cancel()

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[5::2])
    assert [outcome for outcome in outcomes if outcome == "ok"] == ["ok"] * 12
