"""Reranking orders anew, and steps aside when time is short."""

import asyncio
from typing import Any

import pytest

from rushhour.catalog.contract import Chunk
from rushhour.errors import (
    AttemptTimeout,
    CircuitOpen,
    DeadlineExceeded,
    InvalidRequest,
    QueueFull,
    RushhourError,
    Throttled,
    Unauthorized,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Event, named, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.pace import Admitted
from rushhour.hops.contract import RerankRequest
from rushhour.rag.receipt import Receipt
from rushhour.rag.retrieval.rerank import Reranker, RerankingSettings
from rushhour.testing import Scripted

RANKED = [(Chunk(name, "f", n, f"text {name}", "Title"), 0.9 - n / 10) for n, name in enumerate("abcd")]
SCORES = [0.1, 0.9, 0.5, 0.2]


def ids(ranked: list[tuple[Chunk, float]]) -> str:
    """Name the order."""
    return "".join(chunk.id for chunk, _ in ranked)


async def test_the_rerankers_opinion_decides() -> None:
    """Question and texts, titles included, are handed over; scores come back as the order."""
    hop = Scripted(SCORES)

    ranked = await Reranker(hop)("q", RANKED, Call())

    assert ids(ranked) == "bcda"
    assert hop.requests == [RerankRequest("q", tuple(f"Title\n\ntext {name}" for name in "abcd"))]
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)


async def test_only_the_first_are_read_again() -> None:
    """The others keep their order behind them."""
    hop = Scripted([0.2, 0.8])

    ranked = await Reranker(hop, RerankingSettings(candidates=2))("q", RANKED, Call())

    assert ids(ranked) == "bacd"
    assert len(hop.requests[0].texts) == 2


async def test_the_fused_score_decides_between_equals() -> None:
    """A saturated model tells nothing, and then the order stands."""
    ranked = await Reranker(Scripted([1.0, 1.0, 1.0, 1.0]))("q", RANKED, Call())

    assert ids(ranked) == "abcd"


async def test_odds_tell_what_near_certainties_do_not() -> None:
    """0.9999 beats 0.999 although their difference is next to nothing."""
    ranked = await Reranker(Scripted([0.999, 0.9999, 0.0, 0.0]))("q", RANKED, Call())

    assert ids(ranked)[:2] == "ba"


@pytest.mark.parametrize(
    "cause", [Throttled("429"), CircuitOpen("rests"), Unauthorized("wrong key"), WouldMissDeadline("a long queue")]
)
async def test_the_order_stands_when_it_fails_or_is_refused(cause: RushhourError) -> None:
    """An answer is not lost to what only improves it, and the receipt says what it lacks."""
    seen: list[Event] = []
    receipt = Receipt()

    def emit(event: Event) -> None:
        seen.append(event)
        receipt.record(event)

    ranked = await Reranker(Scripted(cause))("q", RANKED, Call(emit=emit))

    assert ranked == RANKED
    assert seen == [Degraded("rerank", "no_rerank", cause)]
    assert receipt.as_json()["degraded"] == ["no_rerank"]


async def test_a_mistake_of_ours_is_no_degradation() -> None:
    """What is not the provider's doing is told."""
    with pytest.raises(InvalidRequest):
        await Reranker(Scripted(InvalidRequest("bug")))("q", RANKED, Call())


async def test_nothing_is_asked_about_nothing() -> None:
    """No candidates, no call."""
    assert await Reranker(Scripted())("q", [], Call()) == []


async def test_it_steps_aside_for_the_generator() -> None:
    """What it took before is learned; where that leaves the generator too little, nobody is asked."""
    hop = Scripted(SCORES, seconds=2.0, forever=True)
    reranker = Reranker(hop, needed=lambda: 5.0)
    await reranker("q", RANKED, Call())
    seen: list[Event] = []
    now = asyncio.get_running_loop().time()

    in_time = await reranker("q", RANKED, Call(deadline=now + 7.5, emit=seen.append))
    asked, late = len(hop.requests), asyncio.get_running_loop().time()
    too_late = await reranker("q", RANKED, Call(deadline=late + 6.5, emit=seen.append))

    assert (ids(in_time), ids(too_late)) == ("bcda", "abcd")
    assert len(hop.requests) == asked
    assert asyncio.get_running_loop().time() == late
    (event,) = seen
    assert isinstance(event, Degraded)
    assert isinstance(event.cause, WouldMissDeadline)


async def test_a_long_queue_counts() -> None:
    """The predicted wait is part of what it would take."""
    hop = Scripted(SCORES, forever=True)
    reranker = Reranker(hop, wait=lambda _request, _call: 3.0)

    assert ids(await reranker("q", RANKED, Call(deadline=2.0))) == "abcd"
    assert ids(await reranker("q", RANKED, Call(deadline=4.0))) == "bcda"
    assert len(hop.requests) == 1


async def test_time_in_the_queue_is_not_counted_twice() -> None:
    """What is learned is what it takes once its turn has come; patience ends either."""

    async def queued(request: RerankRequest, call: Call) -> list[float]:
        await asyncio.sleep(10)
        call.emit(Admitted(call.hop, 10.0))
        return SCORES

    reranker = Reranker(queued, RerankingSettings(patience_s=60.0))
    await reranker("q", RANKED, Call())

    assert ids(await reranker("q", RANKED, Call(deadline=asyncio.get_running_loop().time() + 10.5))) == "bcda"


async def test_a_slow_reranker_is_cut_short_in_time() -> None:
    """Even the first call, of which nothing is known, leaves the generator what it needs."""
    hop: Any = named(stack(Scripted(SCORES, seconds=60.0, forever=True), Deadline()), "rerank")
    reranker = Reranker(hop, needed=lambda: 7.0)

    ranked = await reranker("q", RANKED, Call(deadline=10.0))

    assert ids(ranked) == "abcd"
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)


async def test_it_is_tried_again_some_day() -> None:
    """A slow hour is not believed for ever."""
    hop = Scripted(SCORES, seconds=8.0, forever=True)
    reranker = Reranker(hop, RerankingSettings(patience_s=60.0))
    await reranker("q", RANKED, Call())
    hop._seconds = 0.1

    for _ in range(100):
        now = asyncio.get_running_loop().time()
        await reranker("q", RANKED, Call(deadline=now + 4.0))
    assert len(hop.requests) > 10


async def test_patience_is_bounded_for_everybody() -> None:
    """An answer with all the time in the world does not wait for what only improves it; no deadline is to blame."""
    hop: Any = named(stack(Scripted(SCORES, seconds=60.0, forever=True), Deadline()), "rerank")
    reranker = Reranker(hop, RerankingSettings(patience_s=3.0))
    seen: list[Event] = []

    assert await reranker("q", RANKED, Call(emit=seen.append)) == RANKED
    assert asyncio.get_running_loop().time() == 3.0
    crowded = Reranker(Scripted(), RerankingSettings(patience_s=3.0), wait=lambda _request, _call: 4.0)
    assert await crowded("q", RANKED, Call(emit=seen.append)) == RANKED

    assert [type(event.cause) for event in seen if isinstance(event, Degraded)] == [AttemptTimeout, QueueFull]


async def test_the_answers_own_deadline_is_told_as_such() -> None:
    """When the time is up for the answer there is nothing left to degrade."""
    hop: Any = named(stack(Scripted(SCORES, seconds=60.0), Deadline()), "rerank")

    with pytest.raises(DeadlineExceeded):
        await Reranker(hop)("q", RANKED, Call(deadline=1.0))
