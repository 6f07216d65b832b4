"""What the engine makes of weak finds and of follow-up questions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

import pytest

from rushhour.errors import Unavailable
from rushhour.flow.call import Call, Hop, named
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Message, Passage, Usage, Used
from rushhour.hops.extractive import NO_ANSWER, Extractive
from rushhour.rag.answering.answer import NOTHING_FOUND, Answerer
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswers
from rushhour.rag.answering.condense import Condenser
from rushhour.rag.answering.confidence import Confidence
from rushhour.rag.answering.prompt import WEAK
from rushhour.rag.contract import Answer, Ask, Grounding, Piece, Question
from rushhour.testing import Scripted

TOWER = Passage(1, "c/tower/1", "The Eiffel Tower is 330 m tall and stands in Paris.", "The tower", "tower.md")
BREAD = Passage(2, "c/bread/1", "Bread is baked from flour and yeast by bakers.", "[2] On bread", "bread.md")
HISTORY = (Message("user", "Where is the Eiffel Tower?"), Message("assistant", "In Paris [1]."))


class Library:
    """A retriever that always finds the same, and remembers what was looked for."""

    def __init__(self, *passages: Passage) -> None:
        self.passages = passages
        self.searched: list[str] = []

    async def edition(self, collection: str) -> Hashable:
        """Return the state."""
        return 1

    async def __call__(
        self, collection: str, question: str, call: Call, top_k: int | None = None, filters: object = None
    ) -> Sequence[Passage]:
        """Find it."""
        self.searched.append(question)
        return self.passages


def engine(library: Library, chat: Hop[Any, Any], model: str = "large", **more: Any) -> Answerer:
    """Put an engine round it, judged by words alone."""
    return Answerer(library, named(chat, "chat"), model, {}, judge=Confidence(), **more)  # type: ignore[arg-type]  # a stand-in


def writes(text: str) -> Stream[ChatDelta]:
    """Write an answer."""

    async def deltas() -> AsyncIterator[ChatDelta]:
        yield ChatDelta(text)
        yield ChatDelta("", "stop", Usage(100, 0, 20))

    return Stream(deltas())


async def answer(ask: Ask, text: str, history: tuple[Message, ...] = ()) -> Answer:
    """Ask and read."""
    last: Piece | None = None
    async with await ask(Question("c", text, history), Call("acme")) as pieces:
        async for piece in pieces:
            last = piece
    assert isinstance(last, Answer)
    return last


async def test_a_weak_find_is_told_without_a_model_and_what_comes_closest() -> None:
    """One sentence, and titles without brackets, which would be taken for citations."""
    told = await answer(engine(Library(TOWER, BREAD), Extractive(), "extractive"), "Who won the world cup in 1998?")

    assert told.text == f"{NO_ANSWER} Closest: “The tower”, “(2) On bread”."
    assert (told.citations, told.grounding.invalid) == ((), 0)
    assert told.grounding.not_found
    assert told.grounding.confidence is not None
    assert told.grounding.confidence < 0.07


async def test_a_good_find_is_quoted() -> None:
    """The confidence comes along; nothing is said to be missing."""
    told = await answer(engine(Library(TOWER, BREAD), Extractive(), "extractive"), "How tall is the Eiffel Tower?")

    assert told.text.startswith("The Eiffel Tower is 330 m tall")
    assert not told.grounding.not_found
    assert told.grounding.confidence is not None
    assert told.grounding.confidence > 0.9


async def test_what_the_quoting_generator_cannot_quote_is_not_found() -> None:
    """It always cites what it says, so what it says without a citation is that there is nothing."""
    fits = Passage(1, "c/x/1", "how to bake\nworld cup 1998 winner", "World cup 1998", "x.md")
    told = await answer(engine(Library(fits), Extractive(), "extractive"), "Who won the world cup in 1998?")

    assert told.text.startswith(NO_ANSWER)
    assert told.grounding.not_found


@pytest.mark.parametrize(
    ("said", "not_found"), [("The documents do not say.", True), ("It is so all the same [1].", False)]
)
async def test_a_model_is_warned_and_may_still_find_the_answer(said: str, not_found: bool) -> None:
    """It gets the passages; what it says stands on nothing only if it cites nothing."""
    chat = Scripted(writes(said))
    told = await answer(engine(Library(TOWER, BREAD), chat), "Who won the world cup in 1998?")

    (request,) = chat.requests
    assert WEAK in request.messages[-1].content
    assert request.passages == (TOWER, BREAD)
    assert told.grounding.not_found is not_found


async def test_a_model_that_is_not_warned_answers_for_itself() -> None:
    """An answer without citations to a good find is uncited; whether something was found is not ours to say."""
    chat = Scripted(writes("It is tall [7]."))
    told = await answer(engine(Library(TOWER), chat), "How tall is the Eiffel Tower?")

    assert WEAK not in chat.requests[0].messages[-1].content
    assert not told.grounding.not_found
    assert told.grounding.invalid == 1


async def test_no_passages_at_all() -> None:
    """There is nothing to judge."""
    told = await answer(engine(Library(), Scripted()), "How tall is the Eiffel Tower?")

    assert (told.text, told.grounding) == (NOTHING_FOUND, Grounding(None, not_found=True))


async def test_a_weak_find_stays_weak_when_the_model_is_down() -> None:
    """The last resort does not quote what the judge takes for beside the point."""
    ask = engine(Library(TOWER, BREAD), Scripted(Unavailable("down")), last_resort=Extractive())
    told = await answer(ask, "Who won the world cup in 1998?")

    assert told.text.startswith(NO_ANSWER)
    assert (told.grounding.not_found, told.receipt["degraded"]) == (True, ["extractive"])


async def test_a_reused_answer_says_the_same_of_its_ground() -> None:
    """Citations lead to the same sentences, and not found stays not found."""
    library = Library(TOWER)
    kept = KeptAnswers(library.edition, "large")
    ask = AnswerReuse(engine(library, Scripted(writes("It is 330 m tall [1].")), kept=kept), kept)

    first = await answer(ask, "How tall is the Eiffel Tower?")
    again = await answer(ask, "How tall is the Eiffel Tower?")

    assert again.receipt["reused"] == "cache"
    assert (again.grounding, again.citations) == (first.grounding, first.citations)
    assert again.citations[0].quote == TOWER.text


async def test_a_follow_up_is_searched_with_what_it_is_about_and_answered_as_it_was_asked() -> None:
    """Retrieval gets the words before it, the prompt the user's own."""
    library, chat = Library(TOWER), Scripted(writes("330 m [1]."))

    await answer(engine(library, chat), "How tall is it?", HISTORY)

    assert library.searched == ["How tall is it? Eiffel Tower"]
    assert chat.requests[0].messages[-1].content.endswith("Question: How tall is it?")
    assert chat.requests[0].question == "How tall is it? Eiffel Tower"


async def test_condensing_has_its_own_line_in_the_receipt() -> None:
    """What it took is told, and counted among the tokens."""
    library, replies = Library(TOWER), [writes("How tall is the Eiffel Tower?"), writes("330 m [1].")]

    async def chat(request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        call.emit(Used(call.hop, "large", Usage(50, 0, 10)))
        return replies.pop(0)

    told = await answer(engine(library, chat, condense=Condenser(named(chat, "chat"))), "How tall is it?", HISTORY)

    assert library.searched == ["How tall is the Eiffel Tower?"]
    assert told.receipt["hops"]["condense"] == {"calls": 1, "input_tokens": 50, "output_tokens": 10}
    assert told.receipt["hops"]["chat"] == {"calls": 1, "input_tokens": 50, "output_tokens": 10}
    assert told.receipt["tokens"]["input"] == 100
    assert told.receipt["degraded"] == []


async def test_a_condensing_that_fails_costs_the_answer_nothing() -> None:
    """It is searched with the words before it, and says so."""
    library, chat = Library(TOWER), Scripted(Unavailable("down"), writes("330 m [1]."))

    told = await answer(engine(library, chat, condense=Condenser(named(chat, "chat"))), "How tall is it?", HISTORY)

    assert told.text == "330 m [1]."
    assert library.searched == ["How tall is it? Eiffel Tower"]
    assert told.receipt["degraded"] == ["not_condensed"]
