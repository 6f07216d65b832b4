"""Follow-up questions are made to stand alone, and that never costs the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from rushhour.errors import Throttled, Unavailable
from rushhour.flow.call import Call, Event, named, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.pace import Admitted
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, Message, Usage, Used
from rushhour.rag.answering.condense import CONDENSE, Condenser, CondenseSettings, carried, leans_back
from rushhour.rag.contract import Question
from rushhour.testing import Scripted

HISTORY = (
    Message("user", "Who built the Eiffel Tower in Paris?"),
    Message("assistant", "The company of Gustave Eiffel did [1]."),
)
FOLLOW_UP = Question("c", "How tall is it?", HISTORY)


def says(*pieces: str, finish_reason: str = "stop", seconds: float = 0.0) -> Stream[ChatDelta]:
    """Write a reply, piece by piece."""

    async def deltas() -> AsyncIterator[ChatDelta]:
        for piece in pieces:
            await asyncio.sleep(seconds)
            yield ChatDelta(piece)
        yield ChatDelta("", finish_reason, Usage(50, 0, 10))

    return Stream(deltas())


@pytest.mark.parametrize(
    "question",
    [
        "How tall is it?",
        "and for Windows?",
        "Why?",
        "What about London?",
        "Who owns them?",
        "When did he die?",
        "what is the name of that?",
        "Tell me more",
        "Is this the same?",
        "what was it about?",
    ],
)
def test_follow_ups_are_told(question: str) -> None:
    """Pronouns, ellipses and next to nothing lean on what was said before."""
    assert leans_back(question, HISTORY)


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Norway?",
        "Which function returns a list that is sorted?",
        "How do I install rushhour on Windows?",
        "Who invented the telephone?",
    ],
)
def test_whole_questions_are_left_alone(question: str) -> None:
    """What stands alone is not touched, and nothing is without a question before it."""
    assert not leans_back(question, HISTORY)
    assert not leans_back("How tall is it?", (Message("assistant", "Hello!"),))


def test_telling_words_are_carried_along_once() -> None:
    """The words of the last question that stood alone are added, in its spelling; its own come first."""
    assert carried("How tall is it?", HISTORY) == "How tall is it? built Eiffel Tower Paris"
    assert carried("Is that tower in Paris?", HISTORY) == "Is that tower in Paris? built Eiffel"
    longer = (*HISTORY, Message("user", "How tall is it?"), Message("assistant", "330 m [1]."))
    assert carried("And its weight?", longer) == "And its weight? tall built Eiffel Tower Paris"


def test_no_more_is_carried_than_a_question_is_long() -> None:
    """A pasted page before the question does not drown it."""
    page = Message("user", " ".join(f"word{number}" for number in range(500)))
    assert len(carried("Why?", (page,)).split()) == 13


async def test_without_a_model_the_words_do() -> None:
    """There is nothing to degrade from, so nothing is said."""
    seen: list[Event] = []
    assert await Condenser()(FOLLOW_UP, Call(emit=seen.append)) == "How tall is it? built Eiffel Tower Paris"
    assert seen == []


async def test_a_model_says_the_question_anew() -> None:
    """It reads the conversation and the question, and is given little to say it with."""
    chat = Scripted(says("How tall is ", "the Eiffel Tower?\n"))

    assert await Condenser(chat)(FOLLOW_UP, Call()) == "How tall is the Eiffel Tower?"

    (request,) = chat.requests
    assert (request.max_tokens, request.temperature, request.passages) == (64, 0.0, ())
    assert request.messages[-1].content == (
        "Conversation:\nUser: Who built the Eiffel Tower in Paris?\nAssistant: The company of Gustave Eiffel did [1]."
        "\n\nLast question: How tall is it?"
    )


async def test_a_question_that_stands_alone_costs_nothing() -> None:
    """No call is made for it."""
    chat = Scripted()
    whole = replace(FOLLOW_UP, text="What is the capital of Norway?")
    assert await Condenser(chat)(whole, Call()) == "What is the capital of Norway?"
    assert chat.requests == []


async def test_what_it_takes_has_a_line_of_its_own() -> None:
    """The account names the call; a stand-in that made it is no stand-in for the answer."""
    seen: list[Event] = []

    async def chat(request: object, call: Call) -> Stream[ChatDelta]:
        call.emit(Admitted("chat", 0.5))
        call.emit(Degraded("chat", "fallback_model", Unavailable(), "small"))
        call.emit(Used("chat", "large", Usage(50, 0, 10)))
        return says("How tall is the Eiffel Tower?")

    await Condenser(chat)(FOLLOW_UP, Call(emit=seen.append))

    assert seen == [Admitted(CONDENSE, 0.5), Used(CONDENSE, "large", Usage(50, 0, 10))]


@pytest.mark.parametrize(
    "outcome",
    [
        Unavailable("down"),
        Throttled(retry_after=9),
        says(""),
        says("What? " * 200),
        says("How tall is the", finish_reason="length"),
    ],
)
async def test_whatever_goes_wrong_the_words_do_and_it_is_said(outcome: object) -> None:
    """Failures, nothing, too much, and half a question."""
    seen: list[Event] = []

    searched = await Condenser(Scripted(outcome))(FOLLOW_UP, Call(emit=seen.append))

    assert searched == "How tall is it? built Eiffel Tower Paris"
    assert [event.label for event in seen if isinstance(event, Degraded)] == ["not_condensed"]


async def test_in_a_rush_nobody_is_asked() -> None:
    """The generator's turn is kept for the answer."""
    seen: list[Event] = []
    assert await Condenser(Scripted())(FOLLOW_UP, Call(emit=seen.append), hurried=True) == carried(
        FOLLOW_UP.text, HISTORY
    )
    assert isinstance(seen[0], Degraded)


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize(("deadline", "waited"), [(10.0, 1.5), (1000.0, 4.0)])
async def test_it_takes_a_small_share_of_the_time(begins: bool, deadline: float, waited: float) -> None:
    """Before the first word and between words; with all the time in the world, a few seconds."""
    slow = Scripted(says("How", "tall", seconds=60)) if begins else Scripted(says("Too late"), seconds=60)
    condense = Condenser(named(stack(slow, Deadline()), "chat"), CondenseSettings())

    searched = await condense(FOLLOW_UP, Call(deadline=deadline))

    assert searched == carried(FOLLOW_UP.text, HISTORY)
    assert asyncio.get_running_loop().time() == pytest.approx(waited)


async def test_who_leaves_meanwhile_leaves_nothing_behind() -> None:
    """The reply is closed with its reader."""
    reply = says("How", "tall", seconds=60)
    closed: list[BaseException | None] = []
    reply.on_close(closed.append)
    asking = asyncio.ensure_future(Condenser(Scripted(reply))(FOLLOW_UP, Call()))
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert len(closed) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
