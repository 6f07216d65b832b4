"""Permits: never more than the limit, and every one comes back."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import Unavailable
from rushhour.flow.call import Call, Lane, stack
from rushhour.flow.policies.concurrency import Concurrency
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
    hop = Scripted(Stream(letters()), Stream(letters()))  # type: ignore[arg-type]
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


def test_a_limit_below_one_is_refused() -> None:
    """Nobody could ever go."""
    with pytest.raises(ValueError, match="concurrency limit is 0"):
        Concurrency(0)
