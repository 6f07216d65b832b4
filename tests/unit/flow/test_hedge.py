"""A late answer is asked for a second time: within budget, with spare quota only, and the loser is closed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushhour.errors import Throttled, Unavailable
from rushhour.flow.call import Call, Event, Hop, stack
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.hedge import Hedge, Hedged, HedgeSettings
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted, run_virtual


class Upstream:
    """Answers after the scripted seconds, else after one."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.parting_s = 0.0
        self.asked = 0
        self.running = 0
        self.spare = False

    async def __call__(self, request: str, call: Call) -> Any:
        """Take the next scripted delay or outcome."""
        self.asked += 1
        number = self.asked
        seconds, outcome = self.script.pop(0) if self.script else (1.0, None)
        self.running += 1
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self.parting_s:
                await asyncio.sleep(self.parting_s)
            raise
        finally:
            self.running -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or number


async def hedged(spare: bool = True, **settings: float) -> tuple[Hop[str, Any], Upstream]:
    """Put a hedge round an upstream, and let it learn from a hundred calls that answers take a second."""
    upstream = Upstream()
    hop = stack(upstream, Hedge(lambda _request: upstream.spare, HedgeSettings(**settings)))
    for _ in range(100):
        await hop("q", Call())
    upstream.spare = spare
    return hop, upstream


async def test_the_task_that_waits_is_the_one_that_is_overtaken() -> None:
    """Not the one that made the call for another to await, as `gather` does: that one goes on undisturbed."""
    hop, upstream = await hedged()
    upstream.script = [(60.0, None), (1.0, None)]

    late, soon = await asyncio.gather(hop("q", Call()), hop("q", Call()))

    assert {late, soon} == {102, 103}
    assert upstream.running == 0


async def test_a_late_answer_is_overtaken() -> None:
    """The second call answers a second after it was made, and the first is cancelled."""
    hop, upstream = await hedged()
    upstream.script = [(60.0, None)]
    loop, seen = asyncio.get_running_loop(), list[Event]()
    begun = loop.time()

    assert await hop("q", Call(emit=seen.append)) == 102

    await asyncio.sleep(0)
    assert loop.time() - begun == pytest.approx(2.0)
    assert upstream.running == 0
    assert [type(event) for event in seen] == [Hedged]


async def test_nothing_is_hedged_before_latency_is_known() -> None:
    """Without samples, late has no meaning."""
    upstream = Upstream()
    upstream.script = [(60.0, None)]

    await stack(upstream, Hedge(lambda _request: True))("q", Call())

    assert upstream.asked == 1


async def test_never_while_quota_is_short() -> None:
    """A hedge takes nobody's turn."""
    hop, upstream = await hedged(spare=False)
    upstream.script = [(60.0, None)]

    await hop("q", Call())

    assert upstream.asked == 101


async def test_room_that_comes_later_is_used() -> None:
    """A call that is late while everybody waits is hedged as soon as the queue is empty."""
    hop, upstream = await hedged(spare=False)
    upstream.script = [(60.0, None)]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    loop.call_later(5.0, setattr, upstream, "spare", True)

    await hop("q", Call())

    assert 6.0 <= loop.time() - begun <= 6.5


async def test_the_budget_bounds_what_it_costs() -> None:
    """However slow the upstream becomes, extra calls stay within the share."""
    hop, upstream = await hedged(share=0.05)
    before = upstream.asked
    upstream.script = [(30.0, None)] * 1000

    await asyncio.gather(*(hop("q", Call()) for _ in range(200)))

    assert upstream.asked - before - 200 <= 0.05 * 200 + 5


async def test_a_failure_waits_for_the_other() -> None:
    """One of two failing is no failure."""
    hop, upstream = await hedged()
    upstream.script = [(3.0, "first"), (0.5, Unavailable("second"))]

    assert await hop("q", Call()) == "first"


async def test_both_failing_is_a_failure() -> None:
    """And the error is one of theirs."""
    hop, upstream = await hedged()
    upstream.script = [(3.0, Unavailable("first")), (0.5, Unavailable("second"))]

    with pytest.raises(Unavailable):
        await hop("q", Call())


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_stream_that_lost_is_closed(leaves: bool) -> None:
    """Both answer in the same moment, or the caller leaves in it: what nobody reads returns what it holds."""

    async def words() -> AsyncIterator[str]:
        yield "word"

    loop = asyncio.get_running_loop()
    closed: list[str] = []
    answers = [loop.create_future(), loop.create_future()]
    calls = iter(answers)
    streams = [Stream(words()), Stream(words())]
    for name, stream in zip(("first", "second"), streams, strict=True):
        stream.on_close(lambda _error, name=name: closed.append(name))  # type: ignore[misc]  # a default argument in a lambda
    room = Concurrency(2)
    hedge = Hedge(lambda request: request == "late", room=room)
    for _ in range(100):
        await stack(Scripted("ok", seconds=1.0), room, hedge)("in time", Call())

    async def answer(_request: str, _call: Call) -> Stream[str]:
        return await next(calls)

    asking = asyncio.ensure_future(stack(answer, room, hedge)("late", Call()))
    await asyncio.sleep(2.0)
    answers[1].set_result(streams[1])
    if leaves:
        asking.cancel()
    else:
        answers[0].set_result(streams[0])
    won = (await asyncio.gather(asking, return_exceptions=True))[0]
    await asyncio.sleep(0.1)

    assert closed == ["second"]
    assert isinstance(won, asyncio.CancelledError) if leaves else won is streams[0]
    if not leaves:
        await streams[0].aclose()
    assert (room.in_flight, room.reserved) == (0, 0)


async def test_winning_and_leaving_in_one_moment() -> None:
    """The caller goes away as the second call overtakes the first: it is a cancellation, and nothing stays behind."""
    room = Concurrency(2)
    hedge = Hedge(lambda request: request == "late", room=room)
    for _ in range(100):
        await stack(Scripted("ok", seconds=1.0), room, hedge)("in time", Call())
    loop = asyncio.get_running_loop()
    answers = iter([loop.create_future(), second := loop.create_future()])

    async def answer(_request: str, _call: Call) -> Any:
        return await next(answers)

    asking = asyncio.ensure_future(stack(answer, room, hedge)("late", Call()))
    await asyncio.sleep(2.0)
    second.set_result("late")
    loop.call_soon(lambda: loop.call_soon(asking.cancel))  # after the first call was told to go, before it has gone
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert (room.in_flight, room.reserved) == (0, 0)


async def test_an_overtaken_caller_can_still_be_cancelled() -> None:
    """The cancellation that ended the first call is taken back: time limits round the caller go on working."""
    hop, upstream = await hedged()
    upstream.script = [(60.0, None), (1.0, "second"), (60.0, None), (60.0, None)]
    answers: list[Any] = []

    async def twice() -> None:
        answers.append(await hop("q", Call()))
        answers.append(await hop("q", Call()))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(twice(), 5.0)

    assert answers == ["second"]
    assert upstream.running == 0


def test_leaving_ends_both() -> None:
    """A caller who goes away takes both calls along, one after the other, and his permit is free only then."""

    async def leave() -> None:
        hop, upstream = await hedged()
        upstream.parting_s = 0.5
        upstream.script = [(60.0, None), (60.0, None)]
        begun = asyncio.get_running_loop().time()
        asking = asyncio.ensure_future(hop("q", Call()))
        await asyncio.sleep(5)
        assert upstream.running == 2
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert upstream.running == 0
        assert asyncio.get_running_loop().time() == begun + 6.0

    run_virtual(leave())


async def test_a_429_ends_hedging_for_a_while() -> None:
    """The provider says that the limit binds: no second calls until the time it advised, even if the first answers."""
    hop, upstream = await hedged()
    upstream.script = [(3.0, "first"), (0.5, Throttled(retry_after=24.0)), (10.0, "alone"), (10.0, "alone too")]
    assert await hop("q", Call()) == "first"
    asked = upstream.asked

    assert await hop("q", Call()) == "alone"
    assert upstream.asked == asked + 1
    assert await hop("q", Call()) == "alone too"
    assert upstream.asked == asked + 2

    upstream.script = [(60.0, None)]
    await hop("q", Call())
    assert upstream.asked == asked + 4


async def test_failures_are_no_latencies() -> None:
    """After hundreds of quick failures an ordinary answer is not late."""
    hop, upstream = await hedged()
    for _ in range(600):
        upstream.script = [(0.0, Unavailable())]
        with pytest.raises(Unavailable):
            await hop("q", Call())
    asked = upstream.asked
    upstream.script = [(0.9, None)] * 20

    await asyncio.gather(*(hop("q", Call()) for _ in range(20)))

    assert upstream.asked == asked + 20


async def test_a_second_call_holds_a_permit() -> None:
    """No more calls in flight than the cap, hedges included; the permit returns with the call, however it ends."""
    limited, upstream = Concurrency(2), Upstream()
    told: list[int] = []
    hop = stack(upstream, limited, Hedge(lambda _request: upstream.spare, room=limited))
    limited.attach(lambda: told.append(limited.in_flight + limited.reserved))
    for _ in range(100):
        await hop("q", Call())
    upstream.spare = True

    upstream.script = [(60.0, None), (60.0, None)]
    await asyncio.gather(hop("q", Call()), hop("q", Call()))
    assert upstream.asked == 102  # both permits in use: no room for a second call

    upstream.script = [(60.0, None), (3.0, None)]
    asking = asyncio.ensure_future(hop("q", Call()))
    await asyncio.sleep(2)
    assert (upstream.running, limited.in_flight, limited.reserved, limited.free()) == (2, 1, 1, False)
    await asking
    await asyncio.sleep(0)
    assert upstream.asked == 104
    assert (upstream.running, limited.in_flight, limited.reserved) == (0, 0, 0)
    assert told[-1] == 0


async def test_instant_answers_are_no_busy_loop() -> None:
    """Where answers take no time at all, a late one is looked after every few milliseconds, not without end."""
    upstream, asked = Scripted("ok", forever=True), list[float]()
    loop = asyncio.get_running_loop()

    def spare(_request: object) -> bool:
        asked.append(loop.time())
        return False

    hedge = Hedge(spare)
    for _ in range(400):
        await stack(upstream, hedge)("q", Call())
    await stack(Scripted("late", seconds=1.0), hedge)("q", Call())

    assert 50 < len(asked) <= 101


@pytest.mark.parametrize("wrong", [{"share": -0.1}, {"share": 1.5}, {"burst": 0.0}, {"burst": float("nan")}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    """The error names the setting, its value and what it may be."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        HedgeSettings(**wrong)
