"""The circuit opens for failures and slowness, never for a 429, and closes when a probe succeeds."""

import asyncio
import math
import random
from collections.abc import AsyncIterator

import pytest

from rushhour.errors import (
    CircuitOpen,
    DeadlineExceeded,
    QuotaExhausted,
    Rejected,
    Throttled,
    TruncatedStream,
    Unavailable,
)
from rushhour.flow.call import Call, Event, Hop, stack
from rushhour.flow.policies.breaker import Breaker, BreakerSettings, Closed, Opened
from rushhour.flow.stream import Stream
from rushhour.testing import Scripted

SETTINGS = BreakerSettings(minimum_calls=4, open_s=1.0, open_cap_s=10.0, slow_s=5.0)


def guarded(hop: Scripted, settings: BreakerSettings = SETTINGS) -> Hop[str, object]:
    """Put both halves of a breaker round a hop."""
    breaker = Breaker(settings, random.Random(1))
    return stack(hop, breaker, breaker.watch)


async def ask(hop: Hop[str, object], times: int, call: Call | None = None) -> list[object]:
    """Call one after the other; return replies and errors."""
    return [await asyncio.gather(hop("q", call or Call()), return_exceptions=True) for _ in range(times)]


async def test_opens_on_failures_and_stops_calling() -> None:
    """After enough failures the upstream is left alone."""
    seen: list[Event] = []
    hop = Scripted(Unavailable("down"), forever=True)

    results = await ask(guarded(hop), 10, Call(hop="chat", emit=seen.append))

    assert len(hop.asked_at) == 4
    assert isinstance(results[-1][0], CircuitOpen)  # type: ignore[index]  # a result is an object to its type
    assert "down" in str(results[-1][0])  # type: ignore[index]  # a result is an object to its type
    assert [type(event) for event in seen] == [Opened]


async def test_a_429_never_opens_it() -> None:
    """A provider that throttles is healthy (rule 9)."""
    hop = Scripted(Throttled(), forever=True)

    await ask(guarded(hop), 100)

    assert len(hop.asked_at) == 100


async def test_a_refused_request_is_no_outage() -> None:
    """A provider that says 400 is alive."""
    hop = Scripted(Rejected(), forever=True)

    await ask(guarded(hop), 100)

    assert len(hop.asked_at) == 100


async def test_money_opens_it_at_once() -> None:
    """Every further call would fail alike."""
    hop = Scripted(QuotaExhausted("insufficient_quota"), forever=True)

    await ask(guarded(hop), 5)

    assert len(hop.asked_at) == 1


async def test_slow_calls_open_it() -> None:
    """An upstream that answers too slowly is as good as down."""
    hop = Scripted("ok", forever=True, seconds=6.0)

    await ask(guarded(hop, BreakerSettings(minimum_calls=4, slow_s=5.0, window_s=60.0)), 6)

    assert len(hop.asked_at) == 4


async def test_a_probe_closes_it() -> None:
    """After its rest one success is enough to go on."""
    seen: list[Event] = []
    hop = Scripted(*[Unavailable()] * 4, "ok", forever=True)
    asked = guarded(hop)
    await ask(asked, 4, Call(emit=seen.append))
    await asyncio.sleep(1.3)

    assert await asked("q", Call(emit=seen.append)) == "ok"
    assert [type(event) for event in seen] == [Opened, Closed]


async def test_a_failed_probe_doubles_the_rest() -> None:
    """The upstream gets longer and longer rests, up to the cap."""
    seen: list[Event] = []
    hop = Scripted(Unavailable(), forever=True)
    asked = guarded(hop)
    for _ in range(400):
        await ask(asked, 1, Call(emit=seen.append))
        await asyncio.sleep(0.25)

    rests = [event.seconds for event in seen if isinstance(event, Opened)]
    assert all(0.8 * min(2.0**n, 10) <= rest <= 1.2 * min(2.0**n, 10) for n, rest in enumerate(rests))
    assert len(rests) > 5


async def test_few_probes_at_once() -> None:
    """A half-open circuit lets in a handful, not the whole crowd."""
    hop = Scripted(*[Unavailable()] * 4, "ok", forever=True, seconds=0.5)
    asked = guarded(hop)
    await ask(asked, 4)
    await asyncio.sleep(1.3)

    results = await asyncio.gather(*(asked("q", Call()) for _ in range(50)), return_exceptions=True)

    assert results.count("ok") == 2
    assert sum(isinstance(result, CircuitOpen) for result in results) == 48


async def test_a_cancelled_probe_gives_its_place_back() -> None:
    """A probe whose caller left does not block the circuit for ever."""
    hop = Scripted(*[Unavailable()] * 4, "ok", forever=True, seconds=0.5)
    asked = guarded(hop)
    await ask(asked, 4)
    await asyncio.sleep(1.3)
    probes = [asyncio.ensure_future(asked("q", Call())) for _ in range(2)]
    await asyncio.sleep(0.1)
    for probe in probes:
        probe.cancel()
    await asyncio.gather(*probes, return_exceptions=True)

    assert await asked("q", Call()) == "ok"


async def opened(*outcomes: object, seconds: float = 0.0) -> Hop[str, object]:
    """Open a circuit by four failures, wait until it may be probed, and let the outcomes follow."""
    asked = guarded(Scripted(*[Unavailable("down")] * 4, *outcomes, seconds=seconds))
    await ask(asked, 4)
    await asyncio.sleep(1.3)
    return asked


async def test_a_429_leaves_the_circuit_half_open() -> None:
    """The limiter in front answered, nobody knows who is behind it: no rest, no crowd, the next call probes again."""
    asked = await opened(Throttled(), Throttled(), "ok", "ok")
    seen: list[Event] = []
    call = Call(emit=seen.append)

    results = await ask(asked, 2, call)
    assert [type(result[0]) for result in results] == [Throttled, Throttled]  # type: ignore[index]  # a result is an object to its type
    assert seen == []

    assert await asked("q", call) == "ok"
    assert [type(event) for event in seen] == [Closed]


class Moody:
    """An upstream whose mood is set from outside."""

    well = True
    seconds = 0.0

    async def __call__(self, request: object, call: Call) -> str:
        """Answer after so many seconds, or fail."""
        await asyncio.sleep(self.seconds)
        if not self.well:
            raise Unavailable("down")
        return "ok"


async def test_a_slow_probe_is_no_recovery() -> None:
    """It answers, but so slowly that it would be given up: another rest, twice as long."""
    seen: list[Event] = []
    call = Call(emit=seen.append)
    upstream = Moody()
    breaker = Breaker(SETTINGS, random.Random(1))
    asked = stack(upstream, breaker, breaker.watch)
    upstream.well = False
    await ask(asked, 4, call)
    await asyncio.sleep(1.3)
    upstream.well, upstream.seconds = True, 6.0

    assert await asked("q", call) == "ok"

    assert [type(event) for event in seen] == [Opened, Opened]
    with pytest.raises(CircuitOpen):
        await asked("q", Call())


async def test_failures_of_before_the_rest_do_not_prolong_it() -> None:
    """Fifty calls hang and time out one after the other: the circuit opens once, and the first probe closes it."""
    seen: list[Event] = []
    hop = Scripted("ok", forever=True)

    async def hangs(request: object, call: Call) -> object:
        if isinstance(request, float):
            await asyncio.sleep(request)
            raise Unavailable("timed out")
        return await hop(request, call)

    breaker = Breaker(SETTINGS, random.Random(1))
    asked = stack(hangs, breaker, breaker.watch)
    call = Call(emit=seen.append)
    late = [asyncio.ensure_future(asked(3.0 + n / 10, call)) for n in range(50)]
    await asyncio.sleep(5.0)

    assert await asked("q", call) == "ok"
    await asyncio.gather(*late, return_exceptions=True)

    assert [type(event) for event in seen] == [Opened, Closed]
    assert await asked("q", call) == "ok"


async def test_who_queued_while_it_opened_probes_as_few_at_a_time_as_others() -> None:
    """The pacer's queue behind an open circuit does not fall upon the upstream when it is probed."""
    breaker = Breaker(SETTINGS, random.Random(1))
    hop = Scripted(*[Unavailable()] * 4, "ok", forever=True, seconds=0.5)
    turn = asyncio.Event()

    async def queue(request: object, call: Call, inner: Hop[object, object]) -> object:
        if request == "waits":
            await turn.wait()
        return await inner(request, call)

    asked = stack(hop, breaker, queue, breaker.watch)
    waiting = [asyncio.ensure_future(asked("waits", Call())) for _ in range(30)]
    await asyncio.gather(*(asked("q", Call()) for _ in range(4)), return_exceptions=True)
    await asyncio.sleep(1.3)
    turn.set()

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results.count("ok") == 2
    assert sum(isinstance(result, CircuitOpen) for result in results) == 28


def broken(cause: BaseException | None = None) -> Stream[str]:
    """Make a stream that yields a word, then fails."""

    async def words() -> AsyncIterator[str]:
        yield "word"
        if cause is not None:
            raise cause

    return Stream(words())


async def read(asked: Hop[str, object], call: Call) -> list[str]:
    """Read a whole stream."""
    stream = await asked("q", call)
    assert isinstance(stream, Stream)
    return [word async for word in stream]


async def test_streams_that_break_off_open_it() -> None:
    """An upstream that begins every answer and finishes none is down."""
    seen: list[Event] = []
    asked = guarded(Scripted(*(broken(TruncatedStream("cut")) for _ in range(9))))
    call = Call(hop="chat", emit=seen.append)
    for _ in range(4):
        with pytest.raises(TruncatedStream):
            await read(asked, call)

    with pytest.raises(CircuitOpen, match="cut"):
        await read(asked, call)
    assert [type(event) for event in seen] == [Opened]


async def test_a_broken_stream_is_one_call_not_two() -> None:
    """One in three breaking off is a failure rate of a third, below the half that opens it."""
    asked = guarded(Scripted(*(broken(TruncatedStream()) if n % 3 == 2 else broken() for n in range(60))))

    for n in range(60):
        if n % 3 == 2:
            with pytest.raises(TruncatedStream):
                await read(asked, Call())
        else:
            assert await read(asked, Call()) == ["word"]


@pytest.mark.parametrize("cause", [None, Throttled(), DeadlineExceeded(), KeyError("reader's bug")])
async def test_streams_that_end_for_other_reasons_do_not_count(cause: BaseException | None) -> None:
    """Left by its reader, out of time, or cut by a 429: no failure of the upstream."""
    asked = guarded(Scripted(*(broken() for _ in range(40))))

    for _ in range(40):
        stream = await asked("q", Call())
        assert isinstance(stream, Stream)
        await stream.__aexit__(type(cause) if cause else None, cause, None)


async def test_money_that_runs_out_in_a_stream_opens_it() -> None:
    """It is told in the middle of an answer, and is as true there."""
    asked = guarded(Scripted(broken(QuotaExhausted("no credit"))))
    with pytest.raises(QuotaExhausted):
        await read(asked, Call())

    with pytest.raises(QuotaExhausted, match=r"no credit.*asked again in"):
        await read(asked, Call())


async def test_callers_who_give_up_on_a_slow_upstream_open_it() -> None:
    """Cancelled after longer than a reply may take, a call was slow; cancelled early, it says nothing."""
    for patience, sent in ((6.0, 4), (1.0, 8)):
        hop = Scripted("ok", forever=True, seconds=60.0)
        asked = guarded(hop, BreakerSettings(minimum_calls=4, slow_s=5.0, window_s=60.0, open_s=30.0))
        for _ in range(8):
            calling = asyncio.ensure_future(asked("q", Call()))
            await asyncio.sleep(patience)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        assert len(hop.asked_at) == sent


async def test_what_failed_before_it_was_sent_does_not_count() -> None:
    """Our own refusals and deadlines are no word of the upstream's: neither failures, nor health that closes it."""
    asked = await opened(*[DeadlineExceeded()] * 10)

    await ask(asked, 10)
    seen: list[Event] = []
    with pytest.raises(AssertionError, match="no more outcomes"):
        await asked("q", Call(emit=seen.append))
    assert seen == []


async def test_an_upstream_that_flaps_rests_longer_and_longer() -> None:
    """A success between two failures is no recovery; a window of health is."""
    seen: list[Event] = []
    call = Call(emit=seen.append)
    upstream = Moody()
    breaker = Breaker(SETTINGS, random.Random(1))
    asked = stack(upstream, breaker, breaker.watch)
    for _ in range(4):
        upstream.well = False
        await ask(asked, 5, call)
        await asyncio.sleep([event.seconds for event in seen if isinstance(event, Opened)][-1] + 0.01)
        upstream.well = True
        assert await asked("q", call) == "ok"

    rests = [event.seconds for event in seen if isinstance(event, Opened)]
    assert all(0.8 * 2**n <= rest <= 1.2 * 2**n for n, rest in enumerate(rests))

    await asyncio.sleep(SETTINGS.window_s)
    upstream.well = False
    await ask(asked, 5, call)
    assert isinstance(seen[-1], Opened)
    assert seen[-1].seconds <= 1.2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"failure_rate": 0.0}, "failure_rate is 0.0"),
        ({"slow_rate": 1.5}, "slow_rate is 1.5"),
        ({"window_s": -1.0}, "window_s is -1.0"),
        ({"slow_s": math.nan}, "slow_s is nan"),
        ({"open_s": 0.0}, "open_s is 0.0"),
        ({"open_cap_s": math.inf}, "open_cap_s is inf"),
        ({"minimum_calls": 0}, "minimum_calls is 0"),
        ({"probes": 0}, "probes is 0"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], named: str) -> None:
    """The error names the setting, its value and what it may be."""
    with pytest.raises(ValueError, match=named):
        BreakerSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose
