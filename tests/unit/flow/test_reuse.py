"""Nothing is paid for twice."""

import asyncio

import pytest

from rushhour.errors import DeadlineExceeded, Unavailable
from rushhour.flow.call import Call, Event, Hop, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.reuse import LruCache, Reuse, Reused
from rushhour.testing import Scripted


def same_question(request: str, _call: Call) -> str | None:
    """Equal texts are equal; secrets are never reused."""
    return None if request == "secret" else request


def reusing(hop: Scripted, capacity: int = 10) -> Hop[str, object]:
    """Put a cache and coalescing round a hop."""
    return stack(hop, Reuse(same_question, LruCache(capacity)))


async def test_calls_in_flight_are_joined() -> None:
    """A thousand equal questions at once are one call (rule 11)."""
    seen: list[Event] = []
    hop = Scripted("reply", seconds=1)
    asked = reusing(hop)

    replies = await asyncio.gather(*(asked("q", Call(emit=seen.append)) for _ in range(1000)))

    assert replies == ["reply"] * 1000
    assert len(hop.requests) == 1
    assert [event.how for event in seen if isinstance(event, Reused)] == ["in_flight"] * 999


async def test_replies_are_kept_and_the_oldest_dropped() -> None:
    """The cache answers until newer replies need the room."""
    hop = Scripted(lambda request: request, forever=True)
    asked = reusing(hop, capacity=2)

    for question in ("a", "b", "a", "c", "a", "b"):
        assert await asked(question, Call()) == question

    assert hop.requests == ["a", "b", "c", "b"]


async def test_failures_are_not_kept() -> None:
    """The next caller tries anew."""
    hop = Scripted(Unavailable(), "reply")
    asked = reusing(hop)

    with pytest.raises(Unavailable):
        await asked("q", Call())
    assert await asked("q", Call()) == "reply"


async def test_no_key_no_reuse() -> None:
    """What must not be shared is not."""
    hop = Scripted("one", "two")
    asked = reusing(hop)

    assert [*await asyncio.gather(asked("secret", Call()), asked("secret", Call()))] == ["one", "two"]


async def test_one_who_leaves_does_not_disturb_the_others() -> None:
    """The call goes on while anybody waits, even if the one who began it left."""
    hop = Scripted("reply", seconds=1)
    asked = reusing(hop)
    first = asyncio.ensure_future(asked("q", Call()))
    second = asyncio.ensure_future(asked("q", Call()))
    await asyncio.sleep(0.5)
    first.cancel()

    assert await second == "reply"


async def test_when_the_last_one_leaves_the_call_ends() -> None:
    """Nobody pays for a reply that nobody waits for."""
    hop = Scripted("reply", seconds=10)
    asked = reusing(hop)
    calls = [asyncio.ensure_future(asked("q", Call())) for _ in range(3)]
    await asyncio.sleep(1)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)

    assert hop.running == 0


async def test_who_comes_while_a_call_is_being_given_up_is_not_given_up_with_it() -> None:
    """A newcomer makes the call anew; another's leaving cancels nobody else."""
    hop = Scripted("first", "second", seconds=10)
    asked = reusing(hop)
    leaving = asyncio.ensure_future(asked("q", Call()))
    await asyncio.sleep(1)
    leaving.cancel()
    newcomer = asyncio.ensure_future(asked("q", Call()))  # in the same turn of the loop

    assert await newcomer == "second"
    assert leaving.cancelled()


async def test_patience_is_each_callers_own() -> None:
    """When the first caller's deadline ends the call, a more patient one makes it again."""
    hop = Scripted("slow", "quick", seconds=3)
    asked = stack(hop, Reuse(same_question), Deadline())

    hasty = asyncio.ensure_future(asked("q", Call(deadline=2)))
    await asyncio.sleep(1)
    patient = asyncio.ensure_future(asked("q", Call(deadline=60)))

    with pytest.raises(DeadlineExceeded):
        await hasty
    assert await patient == "quick"


def test_a_cache_for_nothing_is_refused() -> None:
    """A capacity below one is a mistake."""
    with pytest.raises(ValueError, match="capacity is 0"):
        LruCache(0)
