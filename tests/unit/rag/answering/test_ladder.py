"""The degradation ladder (rule 12): each rung has its label, and the receipt names who really answered."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence

import pytest
from msgspec.structs import replace

from rushhour.errors import (
    CircuitOpen,
    QuotaExhausted,
    Rejected,
    RushhourError,
    TruncatedStream,
    Unavailable,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Hop, named, stack
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback, Substitute
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Passage, Usage
from rushhour.hops.extractive import Extractive
from rushhour.rag.answering.answer import Answerer
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswers
from rushhour.rag.contract import Answer, Ask, Piece, Question
from rushhour.testing import Scripted

QUESTION = Question("manual", "what does the with statement wrap?")
PASSAGE = Passage(1, "p1", "The with statement is used to wrap the execution of a block.", "With", "python:with")


class Finder:
    """A retriever of one passage, and a catalog's state."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.version = 1
        self.seconds = seconds

    async def edition(self, collection: str) -> Hashable:
        """Return the state."""
        return self.version

    async def __call__(
        self, collection: str, question: str, call: Call, top_k: int | None = None, filters: object = None
    ) -> Sequence[Passage]:
        """Find it."""
        await asyncio.sleep(self.seconds)
        return (PASSAGE,)


def writes(text: str) -> Stream[ChatDelta]:
    """Write an answer."""

    async def deltas() -> AsyncIterator[ChatDelta]:
        yield ChatDelta(text)
        yield ChatDelta("", "stop", Usage(100, 0, 20))

    return Stream(deltas())


class System:
    """An engine with every rung, and the clock of what it keeps."""

    def __init__(self, chat: Hop[ChatRequest, Stream[ChatDelta]], *, last_resort: bool = True) -> None:
        self.finder = Finder()
        self.now = 1_800_000_000
        self.kept = KeptAnswers(self.finder.edition, "large", ttl_s=60.0, now=lambda: self.now)
        engine = Answerer(
            self.finder,  # type: ignore[arg-type]  # a stand-in
            named(stack(chat, Deadline()), "chat"),
            "large",
            {},
            kept=self.kept,
            last_resort=Extractive() if last_resort else None,
        )
        self.ask: Ask = AnswerReuse(engine, self.kept)

    async def answer(self, question: Question = QUESTION) -> Answer:
        """Ask and read."""
        last: Piece | None = None
        async with await self.ask(question, Call("acme")) as pieces:
            async for piece in pieces:
                last = piece
        assert isinstance(last, Answer)
        return last


DOWN = (Unavailable("503"), QuotaExhausted("no money"), CircuitOpen("rests", retry_after=9.0))


async def test_the_first_model_answers_without_a_label() -> None:
    """Nothing is degraded while nothing is down."""
    answer = await System(Scripted(writes("It wraps [1]."))).answer()
    assert (answer.model, answer.receipt["degraded"]) == ("large", [])


@pytest.mark.parametrize("cause", DOWN)
async def test_fallback_model(cause: RushhourError) -> None:
    """The next model in the chain answers, and is named."""
    chain = stack(
        Scripted(cause),
        Fallback(
            Substitute("fallback_model", Scripted(Unavailable("down too")), "medium"),
            Substitute("fallback_model", Scripted(writes("It wraps [1].")), "small"),
        ),
    )

    answer = await System(chain).answer()

    assert (answer.model, answer.receipt["degraded"]) == ("small", ["fallback_model"])


@pytest.mark.parametrize("cause", DOWN)
async def test_cached_answer(cause: RushhourError) -> None:
    """When every model is down, an answer to the same question is told, however old; it names who gave it."""
    system = System(Scripted(writes("It wraps [1]."), cause, cause))
    first = await system.answer()
    system.now += 100_000

    again = await system.answer(replace(QUESTION, text=" what does the  with statement wrap? "))

    assert (again.text, again.citations) == (first.text, first.citations)
    assert (again.model, again.receipt["degraded"], again.receipt["reused"]) == ("large", ["cached_answer"], "cache")
    assert (again.usage, again.receipt["cost_usd"]) == (Usage(), 0)


async def test_a_cached_answer_does_not_become_younger_by_being_told() -> None:
    """When the model is back, the next asker gets its answer."""
    system = System(Scripted(writes("Old [1]."), Unavailable(), writes("New [1].")))
    await system.answer()
    system.now += 100_000
    await system.answer()

    assert (await system.answer()).text == "New [1]."


@pytest.mark.parametrize(
    "other", [Question("manual", "what does the with statement wrap up?"), replace(QUESTION, fresh=True)]
)
async def test_extractive_where_no_answer_is_kept(other: Question) -> None:
    """Another question, or a caller who will have no old answer: the passages are quoted."""
    system = System(Scripted(writes("It wraps [1]."), Unavailable()))
    await system.answer()

    answer = await system.answer(other)

    assert answer.text == "The with statement is used to wrap the execution of a block. [1]"
    assert (answer.model, answer.receipt["degraded"]) == ("extractive", ["extractive"])


async def test_extractive_after_the_collection_changed() -> None:
    """What was answered from another version is not told any more."""
    system = System(Scripted(writes("It wraps [1]."), Unavailable()))
    await system.answer()
    system.finder.version = 2

    assert (await system.answer()).receipt["degraded"] == ["extractive"]


async def test_without_a_last_resort_the_failure_is_told() -> None:
    """There is always an honest error at the end."""
    with pytest.raises(Unavailable, match="503"):
        await System(Scripted(Unavailable("503")), last_resort=False).answer()


@pytest.mark.parametrize("cause", [Rejected("bad request"), WouldMissDeadline(retry_after=3)])
async def test_what_is_not_down_is_told_as_it_is(cause: RushhourError) -> None:
    """A request at fault and a queue that is too long are no matter of the last rungs."""
    with pytest.raises(type(cause)):
        await System(Scripted(cause)).answer()


async def test_an_answer_without_a_finish_reason_is_no_answer() -> None:
    """A stream that just stops is an error, never a silent success (rule 8), and is not kept."""

    async def cut() -> AsyncIterator[ChatDelta]:
        yield ChatDelta("It wra")

    system = System(Scripted(Stream(cut()), writes("It wraps [1].")))

    with pytest.raises(TruncatedStream):
        await system.answer()
    assert (await system.answer()).text == "It wraps [1]."


async def test_the_deadline_bounds_an_answer_once_and_by_its_reader() -> None:
    """The generator's own bound is handed to the stream that the reader holds."""
    upstream = writes("It wraps [1].")
    system = System(Scripted(upstream))

    stream = await system.ask(replace(QUESTION, fresh=True), Call("acme", deadline=50.0))

    assert stream.deadline == 50.0
    assert upstream.deadline > 1e9
    await stream.aclose()
