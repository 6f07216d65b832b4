"""Degrade before refusing, and say so."""

import pytest

from rushhour.errors import (
    CircuitOpen,
    DeadlineExceeded,
    QueueFull,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Unauthorized,
    Unavailable,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.policies.fallback import Degraded, Fallback, Substitute
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


async def test_the_label_comes_with_the_name_of_who_answered() -> None:
    """A receipt can name the model that really answered."""
    seen: list[Event] = []
    cause = Unavailable()
    chain = stack(Scripted(cause), Fallback(Substitute("fallback_model", Scripted("reply"), "small")))

    assert await chain("q", Call(hop="chat", emit=seen.append)) == "reply"
    assert seen == [Degraded("chat", "fallback_model", cause, "small")]


@pytest.mark.parametrize("failure", [Unauthorized(), Rejected(), WouldMissDeadline(), Unavailable()])
async def test_whatever_a_substitute_fails_of_the_next_is_asked(failure: RushhourError) -> None:
    """A second model with a wrong key, a small context or a long queue does not hide the third."""
    chain = stack(Scripted(Unavailable()), Fallback(("one", Scripted(failure)), ("two", Scripted("reply"))))

    assert await chain("q", Call()) == "reply"


async def test_what_is_raised_says_that_the_hop_is_down() -> None:
    """A substitute's own trouble is not passed off as the caller's."""
    chain = stack(Scripted(Unavailable("one")), Fallback(("other", Scripted(Unauthorized("two")))))

    with pytest.raises(Unavailable, match="one"):
        await chain("q", Call())


async def test_out_of_time_is_out_of_time() -> None:
    """No substitute is asked after the deadline."""
    last = Scripted("reply")
    chain = stack(Scripted(Unavailable()), Fallback(("one", Scripted(DeadlineExceeded())), ("two", last)))

    with pytest.raises(DeadlineExceeded):
        await chain("q", Call())
    assert last.requests == []


@pytest.mark.parametrize("cause", [WouldMissDeadline(), QueueFull()])
async def test_a_queue_that_is_too_long_may_be_a_reason_too(cause: RushhourError) -> None:
    """A cheaper model answers before anyone is refused, where that is wanted, under a label of its own."""
    seen: list[Event] = []
    chain = stack(
        Scripted(cause), Fallback(Substitute("fallback_model", Scripted("reply"), "small"), overloaded="reduced")
    )

    assert await chain("q", Call(hop="chat", emit=seen.append)) == "reply"
    assert seen == [Degraded("chat", "reduced", cause, "small")]


async def test_when_nobody_has_room_the_refusal_is_the_first_one() -> None:
    """Its time to come back is that of the queue that was asked for."""
    chain = stack(
        Scripted(WouldMissDeadline("mine", retry_after=7)),
        Fallback(("other", Scripted(Unavailable("down"))), overloaded="reduced"),
    )

    with pytest.raises(WouldMissDeadline, match="mine"):
        await chain("q", Call())
