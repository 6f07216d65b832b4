"""Degrade before refusing, and say so."""

import pytest

from rushhour.errors import (
    CircuitOpen,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Unauthorized,
    Unavailable,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.policies.fallback import Degraded, Fallback
from rushhour.testing import Scripted


@pytest.mark.parametrize("cause", [Unavailable(), QuotaExhausted(), CircuitOpen()])
async def test_what_is_down_falls_back_with_a_label(cause: RushhourError) -> None:
    """The next best hop answers, and the receipt will show it (rule 12)."""
    seen: list[Event] = []
    chain = stack(Scripted(cause), Fallback(("extractive", Scripted("quoted"))))

    assert await chain("q", Call(hop="chat", emit=seen.append)) == "quoted"
    assert seen == [Degraded("chat", "extractive", cause)]


@pytest.mark.parametrize("cause", [Rejected(), Unauthorized(), WouldMissDeadline()])
async def test_what_is_not_down_is_told_as_it_is(cause: RushhourError) -> None:
    """A wrong request, a wrong key or a long queue is not papered over."""
    spare = Scripted("quoted")

    with pytest.raises(type(cause)):
        await stack(Scripted(cause), Fallback(("extractive", spare)))("q", Call())
    assert spare.requests == []


async def test_the_chain_is_tried_in_order() -> None:
    """The second fallback answers when the first is down too; the labels tell only what was used."""
    seen: list[Event] = []
    chain = stack(
        Scripted(Unavailable("one")),
        Fallback(("fallback_model", Scripted(Unavailable("two"))), ("extractive", Scripted("quoted"))),
    )

    assert await chain("q", Call(emit=seen.append)) == "quoted"
    assert [event.label for event in seen if isinstance(event, Degraded)] == ["extractive"]


async def test_when_all_are_down_the_last_failure_is_raised() -> None:
    """There is always an honest error at the end."""
    with pytest.raises(Unavailable, match="two"):
        await stack(Scripted(Unavailable("one")), Fallback(("other", Scripted(Unavailable("two")))))("q", Call())
