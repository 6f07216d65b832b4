"""Smaller before refused, and only where smaller is cheaper."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from rushhour.errors import UnknownCollection, WouldMissDeadline
from rushhour.flow.admission import CAUTION, SLIP, Admission
from rushhour.flow.call import Call, Event, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.pace import Pace
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Message, Passage, Usage
from rushhour.rag.answering.answer import Answerer, AnswerSettings
from rushhour.rag.answering.condense import INSTRUCTIONS, Condenser
from rushhour.rag.answering.pressure import Pressure
from rushhour.rag.answering.prompt import prompt
from rushhour.rag.contract import Answer, Delta, Piece, Question

QUESTION = Question("manual", "what does with do?")
PASSAGES = tuple(Passage(n, f"p{n}", "x" * 400, "Title", "source") for n in range(1, 9))


def by_tokens(request: ChatRequest) -> Cost:
    """Charge the prompt's tokens and `max_tokens`."""
    return Cost(1.0, sum(len(message.content) for message in request.messages) / 4 + request.max_tokens)


def by_larger(request: ChatRequest) -> Cost:
    """Charge the larger of both."""
    return Cost(1.0, max(sum(len(message.content) for message in request.messages) / 4, request.max_tokens))


class Line:
    """A queue in which everybody waits `seconds`, and a call's own cost adds to that by what is scarce."""

    def __init__(self, seconds: float, by_request: float = 0.0, by_token: float = 0.0) -> None:
        self.seconds = seconds
        self.by_request = by_request
        self.by_token = by_token
        self.promised: list[Cost] = []

    def predict(self, cost: Cost, call: Call, now: float) -> float:
        """Return the wait."""
        return self.seconds + cost.requests * self.by_request + cost.tokens * self.by_token

    def advise(self, wait: float, cost: Cost, call: Call, now: float) -> float:
        """Send away for just as long."""
        return wait

    @contextmanager
    def promise(self, cost: Cost, call: Call) -> Iterator[None]:
        """Remember what was promised."""
        self.promised.append(cost)
        yield


FULL = prompt(QUESTION, PASSAGES, 512)
BARE = prompt(QUESTION, (), 512)


def under(line: Line, cost: Callable[[ChatRequest], Cost] = by_tokens) -> Pressure:
    """Put questions under the pressure of a queue."""
    return Pressure(Admission(line), cost)


@pytest.mark.parametrize(
    ("wait", "deadline", "presses"), [(4.9, 10.0, False), (5.1, 10.0, True), (1e6, math.inf, False)]
)
async def test_a_wait_presses_when_it_takes_more_than_half_of_the_time(
    wait: float, deadline: float, presses: bool
) -> None:
    """Before that there is no reason to answer worse; who has all the time there is never presses."""
    assert under(Line(wait)).admit(BARE, Call(deadline=deadline)).pressed == presses


async def test_under_pressure_passages_and_length_are_halved_and_it_is_told() -> None:
    """Where tokens are scarce, each caller takes less of them."""
    seen: list[Event] = []
    lesser = under(Line(6.0, by_token=1e-6)).reduced(FULL, QUESTION, Call(hop="chat", emit=seen.append))

    assert [passage.number for passage in lesser.passages] == [1, 2, 3, 4]
    assert lesser.max_tokens == 256
    assert "[4]" in lesser.messages[-1].content
    assert "[5]" not in lesser.messages[-1].content
    (told,) = seen
    assert isinstance(told, Degraded)
    assert (told.hop, told.label) == ("chat", "reduced")


async def test_where_requests_are_scarce_a_lesser_answer_helps_nobody() -> None:
    """It stays as good as it was, and nothing is told."""
    seen: list[Event] = []
    assert under(Line(6.0, by_request=1.0)).reduced(FULL, QUESTION, Call(emit=seen.append)) is FULL
    assert seen == []


async def test_only_what_lowers_the_price_is_reduced() -> None:
    """Where the larger of prompt and answer is charged, the smaller of the two is left alone."""
    pressure = under(Line(6.0, by_token=1e-6), by_larger)

    prompt_is_larger = pressure.reduced(FULL, QUESTION, Call())
    assert (len(prompt_is_larger.passages), prompt_is_larger.max_tokens) == (4, 512)

    answer_is_larger = pressure.reduced(prompt(QUESTION, PASSAGES, 4096), QUESTION, Call())
    assert (len(answer_is_larger.passages), answer_is_larger.max_tokens) == (8, 2048)


async def test_reduction_has_a_floor() -> None:
    """Two passages and a short paragraph are the least."""
    least = prompt(QUESTION, PASSAGES[:2], 100)
    assert under(Line(6.0, by_token=1e-6)).reduced(least, QUESTION, Call()) is least


async def test_a_reduced_answer_is_admitted_before_anyone_is_refused() -> None:
    """What would be too late in full is let in at the reduced price; what is too late even then is refused."""
    line = Line(0.0, by_token=0.01)
    pressure = under(line)
    full = line.predict(by_tokens(BARE), Call(), 0.0)

    with pressure.admit(BARE, Call(deadline=full - 1)).place:
        assert line.promised[-1].tokens == by_tokens(BARE).tokens - 256
    with pytest.raises(WouldMissDeadline):
        pressure.admit(BARE, Call(deadline=full - 3))


async def test_the_passages_to_come_are_part_of_the_price() -> None:
    """Admission knows from earlier prompts what retrieval will add."""
    line = Line(0.0)
    pressure = under(line)

    pressure.prepared(BARE, FULL, 0.0)

    with pressure.admit(BARE, Call()).place:
        assert line.promised[-1] == by_tokens(FULL)


class Finder:
    """A retriever that takes a while."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.asked = 0

    async def edition(self, collection: str) -> tuple[int, int]:
        """Know one collection."""
        if collection != "manual":
            raise UnknownCollection(collection)
        return 0, 1

    async def __call__(
        self, collection: str, question: str, call: Call, top_k: int | None = None, filters: object = None
    ) -> Sequence[Passage]:
        """Find the passages."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return PASSAGES


async def words(*pieces: str) -> AsyncIterator[ChatDelta]:
    """Write an answer."""
    for piece in pieces:
        yield ChatDelta(piece)
    yield ChatDelta("", "stop", Usage(100, 0, 20))


def rushed(finder: Finder, rpm: float | None = None, tpm: float | None = None) -> tuple[Answerer, Pace]:
    """Assemble an engine whose generator has a limit, with a burst of one second."""
    pace = Pace(MemoryQuota(Limits(rpm, tpm, 1.0, 1.0)), by_tokens, rng=random.Random(1))

    async def chat(request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        return Stream(words("It wraps [1]."))

    pressure = Pressure(Admission(pace), by_tokens)
    hop = named(stack(chat, pace), "chat")
    return Answerer(finder, hop, "model-x", {}, AnswerSettings(), pressure=pressure), pace  # type: ignore[arg-type]  # a stand-in


async def finished(ask: Answerer, call: Call) -> Answer:
    """Ask and read."""
    last: Piece | None = None
    async with await ask(QUESTION, call) as pieces:
        async for piece in pieces:
            last = piece
    assert isinstance(last, Answer)
    return last


async def test_rule_4_nothing_is_spent_on_who_cannot_be_served_in_time() -> None:
    """Of a hundred at one call a second, whoever is let in is served; the others are refused at the door, at once."""
    finder = Finder()
    ask, pace = rushed(finder, rpm=60)
    await finished(ask, Call())  # from which the times are learned
    begun = asyncio.get_running_loop().time()
    finder.asked = 0

    async def refused(call: Call) -> float | None:
        try:
            await finished(ask, call)
        except WouldMissDeadline as refusal:
            assert asyncio.get_running_loop().time() == begun
            return refusal.retry_after
        return None

    outcomes = await asyncio.gather(*(refused(Call(deadline=begun + SLIP * 9 + CAUTION)) for _ in range(100)))

    advised = [seconds for seconds in outcomes if seconds is not None]
    assert finder.asked == 100 - len(advised) == 9
    assert all(9 + place - 1 <= seconds <= 1.1 * (12 + place) for place, seconds in enumerate(advised))
    assert pace.predict(Cost(), Call(), asyncio.get_running_loop().time()) <= 1


async def test_in_a_standing_overload_the_limit_is_used_up_and_nothing_is_wasted() -> None:
    """At four times the limit for a hundred seconds, every question that is embedded is answered, one a second."""
    finder = Finder(seconds=2.0)
    ask, _ = rushed(finder, rpm=60)

    async def come(number: int) -> bool:
        await asyncio.sleep(number / 4)
        try:
            await finished(ask, Call(deadline=asyncio.get_running_loop().time() + 10))
        except WouldMissDeadline:
            return False
        return True

    served = sum(await asyncio.gather(*(come(number) for number in range(400))))

    assert served == finder.asked
    assert served >= 100


async def test_promises_are_returned_when_retrieval_is_left() -> None:
    """Whoever hangs up on the way does not stand in the others' way."""
    ask, pace = rushed(Finder(seconds=60), rpm=60)
    before = pace.predict(Cost(), Call(), 0.0)
    asking = [asyncio.ensure_future(finished(ask, Call())) for _ in range(10)]
    await asyncio.sleep(1)
    during = pace.predict(Cost(), Call(), 1.0)
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)

    assert during >= before + 8
    assert pace.predict(Cost(), Call(), 1.0) <= before


async def test_an_unknown_collection_is_no_matter_of_waiting() -> None:
    """It is told even when everybody else is refused."""
    ask, pace = rushed(Finder(), rpm=60)
    with pace.promise(Cost(1000.0), Call()), pytest.raises(UnknownCollection):
        await ask(Question("nowhere", "q"), Call(deadline=1))


async def drip(*pieces: str) -> AsyncIterator[ChatDelta]:
    """Write an answer, a piece a second."""
    for piece in pieces:
        await asyncio.sleep(1)
        yield ChatDelta(piece)
    yield ChatDelta("", "stop", Usage(100, 0, 20))


async def test_how_long_answers_take_is_learned_from_whole_ones_alone() -> None:
    """Neither a reader who leaves early nor what the condenser asks says anything of an answer's length."""
    lengths: dict[str, int] = {}

    async def chat(request: ChatRequest, call: Call) -> Stream[ChatDelta]:
        condenses = request.messages[0].content == INSTRUCTIONS
        return Stream(drip("How tall is it?") if condenses else drip(*lengths["answer"] * ["It wraps [1]. "]))

    pressure = Pressure(Admission(Line(0.0)), by_tokens)
    finder: Any = Finder(seconds=0.0)
    ask = Answerer(
        finder, named(chat, "chat"), "model-x", {}, pressure=pressure, condense=Condenser(named(chat, "chat"))
    )

    lengths["answer"] = 10
    await finished(ask, Call(deadline=1000))
    assert pressure.takes() == 10
    asked = replace(QUESTION, text="How tall?", history=(Message("user", "What is the Eiffel Tower?"),))
    async with await ask(asked, Call(deadline=1000)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Delta):
                break
    assert pressure.takes() == 10
    lengths["answer"] = 30
    await finished(ask, Call(deadline=1000))
    assert pressure.takes() == 12


async def test_the_queue_is_part_of_what_the_generator_takes_but_not_of_what_comes_after_it() -> None:
    """A reranker has to leave time for both; admission predicts the queue anew."""
    admission = Admission(Line(1.0))
    pressure = Pressure(admission, by_tokens)

    pressure.answered(5.0, waited=3.0)

    assert pressure.takes() == 5
    with admission.enter(Cost(), Call(deadline=SLIP + CAUTION * 2)):
        pass
    with pytest.raises(WouldMissDeadline):
        admission.enter(Cost(), Call(deadline=SLIP + CAUTION * 2 - 0.1))


async def test_what_passages_add_is_learned_at_one_price() -> None:
    """A cost that is learned meanwhile, as when few of `max_tokens` turn out to be used, is none of the passages."""
    price = 3.0

    def learned(request: ChatRequest) -> Cost:
        return Cost(1.0, price * by_tokens(request).tokens)

    line = Line(0.0)
    pressure = under(line, learned)
    talk = tuple(Message("user", "x" * 40_000) for _ in range(3))
    long = replace(QUESTION, history=talk)
    pressure.admit(prompt(long, (), 512), Call())
    price = 1.0

    pressure.prepared(prompt(long, (), 512), prompt(long, PASSAGES, 512), 0.1)
    with pressure.admit(BARE, Call()).place:
        pass

    added = by_tokens(prompt(long, PASSAGES, 512)).tokens - by_tokens(prompt(long, (), 512)).tokens
    assert line.promised[-1].tokens == pytest.approx(by_tokens(BARE).tokens + added)


async def test_prompts_that_became_shorter_make_no_later_one_cost_less_than_nothing() -> None:
    """Whatever was learned of long ones, a short question is let in."""
    line = Line(0.0)
    pressure = under(line)
    long = replace(QUESTION, history=(Message("user", "x" * 40_000),))
    bare = prompt(long, (), 512)
    pressure.admit(bare, Call())

    pressure.prepared(bare, FULL, 0.1)
    with pressure.admit(BARE, Call()).place:
        pass

    assert line.promised[-1].tokens == 0


async def test_a_rush_on_tokens_is_answered_shorter_and_more_are_served() -> None:
    """The receipt says `reduced`; some who would have been refused are not."""
    finder = Finder()
    ask, _ = rushed(finder, tpm=150_000)  # about two full answers a second

    outcomes = await asyncio.gather(*(finished(ask, Call(deadline=20)) for _ in range(100)), return_exceptions=True)

    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    labels = [tuple(answer.receipt["degraded"]) for answer in answers]
    assert set(labels) == {(), ("reduced",)}
    assert {len(answer.passages) for answer in answers} == {4, 8}
    full = 20 * 150_000 / 60 / by_tokens(prompt(QUESTION, PASSAGES, 512)).tokens
    assert len(answers) > 1.2 * full
