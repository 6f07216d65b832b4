"""The circuit opens for failures and slowness, never for a 429, and closes when a probe succeeds."""

import asyncio
import random

from rushhour.errors import CircuitOpen, QuotaExhausted, Rejected, Throttled, Unavailable
from rushhour.flow.call import Call, Event, Hop, stack
from rushhour.flow.policies.breaker import Breaker, BreakerSettings, Closed, Opened
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
    assert isinstance(results[-1][0], CircuitOpen)  # type: ignore[index]
    assert "down" in str(results[-1][0])  # type: ignore[index]
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
