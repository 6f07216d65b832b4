"""Equal questions are answered once (rule 11), and everybody is told how."""

import asyncio
from collections.abc import AsyncIterator, Hashable

import pytest
from msgspec.structs import replace

from rushhour.errors import (
    ConnectionLost,
    DeadlineExceeded,
    RushhourError,
    TruncatedStream,
    Unavailable,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Event
from rushhour.flow.policies.pace import Admitted, Queued
from rushhour.flow.policies.reuse import Reused
from rushhour.flow.shared_tier import SharedTier
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Passage, Usage, Used
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswers, decode_answer, encode_answer
from rushhour.rag.contract import Answer, Delta, Piece, Question, Sources

PASSAGE = Passage(1, "manual/with.txt/00-1", "With wraps.", "With", "python:with")
QUESTION = Question("manual", "what does with do?")
BILL = {"tokens": {"input": 100, "cached": 0, "output": 20}, "cost_usd": 0.01, "reused": None, "degraded": []}


class Engine:
    """Queues for a second, then writes a word a second; `outcomes` of the first asks are errors to raise."""

    def __init__(self, *outcomes: RushhourError, degraded: str = "", fails_after: int | None = None) -> None:
        self.outcomes = list(outcomes)
        self.degraded = degraded
        self.fails_after = fails_after
        self.asked: list[Question] = []
        self.open = 0
        self.streams: list[Stream[Piece]] = []

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        """Answer, within the call's deadline until the first word."""
        self.asked.append(request)
        number = len(self.asked)
        call.emit(Queued("chat", 3, 1.0))
        try:
            async with asyncio.timeout_at(call.deadline if call.deadline < 1e9 else None):
                await asyncio.sleep(0.5)
                call.emit(Queued("chat", 1, 0.5))
                await asyncio.sleep(0.5)
        except TimeoutError:
            raise DeadlineExceeded from None
        if self.outcomes:
            raise self.outcomes.pop(0)
        call.emit(Admitted("chat", 1.0))
        stream = Stream(self._words(number, call))
        self.open += 1
        stream.on_close(self._closed)
        self.streams.append(stream)
        return stream

    def _closed(self, _error: BaseException | None) -> None:
        self.open -= 1

    async def _words(self, number: int, call: Call) -> AsyncIterator[Piece]:
        yield Sources((PASSAGE,))
        for place, word in enumerate(("It ", "wraps ", f"({number}).")):
            if place == self.fails_after:
                raise ConnectionLost("cut")
            yield Delta(word)
            await asyncio.sleep(1)
        call.emit(Used("chat", "model-x", Usage(100, 0, 20)))
        receipt = {**BILL, "degraded": [self.degraded] if self.degraded else []}
        yield Answer(f"It wraps ({number}).", (), (PASSAGE,), "stop", "model-x", Usage(100, 0, 20), receipt)


class Shelf:
    """Collections of one version."""

    def __init__(self) -> None:
        self.version = 1

    async def edition(self, collection: str) -> Hashable:
        """Return it."""
        return self.version


def remembering(engine: Engine, shelf: Shelf | None = None, capacity: int = 10) -> AnswerReuse:
    """Put a memory round an engine."""
    return AnswerReuse(engine, KeptAnswers((shelf or Shelf()).edition, "model-x", capacity))


async def read(ask: AnswerReuse, question: Question = QUESTION, call: Call | None = None) -> tuple[list[float], Answer]:
    """Ask; return when each word came, and the answer."""
    times = []
    text = ""
    answer: Answer | None = None
    async with await ask(question, call or Call("acme")) as pieces:
        async for piece in pieces:
            if isinstance(piece, Delta):
                times.append(asyncio.get_running_loop().time())
                text += piece.text
            elif isinstance(piece, Answer):
                answer = piece
    assert answer is not None
    assert answer.text == text
    return times, answer


def nothing_runs() -> bool:
    """Whether this task is the only one."""
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_thousand_equal_questions_are_one_answer() -> None:
    """One is generated and billed; all the others follow it and pay nothing."""
    engine = Engine()
    ask = remembering(engine)
    seen: list[Event] = []

    answers = await asyncio.gather(*(read(ask, call=Call("acme", emit=seen.append)) for _ in range(1000)))

    assert len(engine.asked) == 1
    assert {answer.text for _, answer in answers} == {"It wraps (1)."}
    assert [answer.receipt["reused"] for _, answer in answers].count("in_flight") == 999
    assert sum(answer.usage.output_tokens for _, answer in answers) == 20
    assert sum(answer.receipt["cost_usd"] for _, answer in answers) == pytest.approx(0.01)
    assert sum(isinstance(event, Used) for event in seen) == 1
    assert ask.in_flight == 0
    assert [event.how for event in seen if isinstance(event, Reused)] == ["in_flight"] * 999
    assert nothing_runs()


async def test_who_joins_late_gets_the_beginning_at_once_and_then_follows() -> None:
    """Streaming goes on for both."""
    ask = remembering(Engine())
    first = asyncio.ensure_future(read(ask))
    await asyncio.sleep(2.5)

    times, answer = await read(ask)

    assert times == [2.5, 2.5, 3]
    assert (await first)[0] == [1, 2, 3]
    assert answer.receipt["reused"] == "in_flight"


async def test_an_answer_is_kept_until_the_collection_changes() -> None:
    """The second asker has it at once and free of charge; after a change it is generated anew."""
    engine, shelf = Engine(), Shelf()
    ask = remembering(engine, shelf)
    seen: list[Event] = []

    _, first = await read(ask)
    times, again = await read(ask, call=Call("acme", emit=seen.append))
    shelf.version = 2
    _, anew = await read(ask)

    assert times == [4]
    assert again.text == first.text != anew.text
    assert (again.usage, again.receipt["reused"], again.receipt["cost_usd"]) == (Usage(), "cache", 0)
    assert again.receipt["tokens"] == {"input": 0, "cached": 0, "output": 0}
    assert seen == [Reused("answer", "cache")]
    assert first.receipt == BILL


async def test_tenants_share_nothing() -> None:
    """Not in flight, and not from the cache."""
    engine = Engine()
    ask = remembering(engine)

    await asyncio.gather(*(read(ask, call=Call(tenant)) for tenant in ("acme", "umbrella")))
    await read(ask, call=Call("initech"))

    assert len(engine.asked) == 3


@pytest.mark.parametrize("question", [replace(QUESTION, fresh=True), replace(QUESTION, temperature=1.0)])
async def test_who_wants_a_new_answer_is_alone_with_the_engine(question: Question) -> None:
    """It neither reads, nor joins, nor is kept; and no task or layer stands between the engine's stream and him."""
    engine = Engine()
    ask = remembering(engine)
    await read(ask)

    stream = await ask(question, Call("acme"))
    assert stream is engine.streams[-1]
    assert nothing_runs()
    await stream.aclose()
    await asyncio.gather(read(ask, question), read(ask, question))

    assert len(engine.asked) == 4
    assert (await read(ask))[1].text == "It wraps (1)."


async def test_degraded_answers_are_told_as_such_and_not_kept() -> None:
    """Whoever joined one learns of it; whoever asks later gets a better one."""
    engine = Engine(degraded="lexical_only")
    ask = remembering(engine)

    (_, first), (_, joined) = await asyncio.gather(read(ask), read(ask))
    await read(ask)

    assert first.receipt["degraded"] == joined.receipt["degraded"] == ["lexical_only"]
    assert len(engine.asked) == 2


async def test_without_a_cache_questions_in_flight_are_joined_all_the_same() -> None:
    """Capacity 0 keeps nothing."""
    engine = Engine()
    ask = remembering(engine, capacity=0)

    await asyncio.gather(read(ask), read(ask))
    await read(ask)

    assert len(engine.asked) == 2


@pytest.mark.parametrize("leaves_at", [0.5, 2.5])
async def test_the_first_asker_may_leave(leaves_at: float) -> None:
    """Before the first word or after it: whoever followed goes on."""
    engine = Engine()
    ask = remembering(engine)
    first = asyncio.ensure_future(read(ask))
    await asyncio.sleep(leaves_at)
    second = asyncio.ensure_future(read(ask))
    await asyncio.sleep(0)
    first.cancel()

    _, answer = await second
    assert answer.receipt["reused"] == "in_flight"
    assert len(engine.asked) == 1
    assert nothing_runs()


@pytest.mark.parametrize("leaves_at", [0.5, 2.5])
async def test_when_the_last_one_leaves_the_engine_is_left(leaves_at: float) -> None:
    """Nobody pays for an answer that nobody reads; who comes then begins anew, at once."""
    engine = Engine()
    ask = remembering(engine)
    readers = [asyncio.ensure_future(read(ask)) for _ in range(3)]
    await asyncio.sleep(leaves_at)
    for reader in readers:
        reader.cancel()
    newcomer = asyncio.ensure_future(read(ask))
    await asyncio.gather(*readers, return_exceptions=True)

    assert engine.open == 0
    assert ask.in_flight == 1
    assert (await newcomer)[1].text == "It wraps (2)."
    assert ask.in_flight == 0
    assert nothing_runs()


@pytest.mark.parametrize("refusal", [WouldMissDeadline(), DeadlineExceeded()])
async def test_another_ones_impatience_is_not_mine(refusal: RushhourError) -> None:
    """When the one who began it is refused, those who wait begin again, together."""
    engine = Engine(refusal)
    ask = remembering(engine)

    outcomes = await asyncio.gather(
        read(ask, call=Call("acme", 1.5)),
        *(read(ask, call=Call("acme", 60)) for _ in range(3)),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], type(refusal))
    assert all(isinstance(outcome, tuple) for outcome in outcomes[1:])
    assert len(engine.asked) == 2


async def test_patience_ends_for_each_alone() -> None:
    """The first one's deadline ends his reading, not that of those who follow him."""
    engine = Engine()
    ask = remembering(engine)

    hasty, patient = await asyncio.gather(
        read(ask, call=Call("acme", 2.5)), read(ask, call=Call("acme", 60)), return_exceptions=True
    )

    assert isinstance(hasty, DeadlineExceeded)
    assert isinstance(patient, tuple)
    assert len(engine.asked) == 1


async def test_failures_reach_everyone_and_are_not_kept() -> None:
    """Before the first word as an exception of the call; the next one tries anew."""
    engine = Engine(Unavailable("down"))
    ask = remembering(engine)

    outcomes = await asyncio.gather(read(ask), read(ask), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert ask.in_flight == 0

    assert (await read(ask))[1].text == "It wraps (2)."


async def test_a_cut_answer_is_cut_for_everyone_and_not_kept() -> None:
    """After the first word as an exception of the stream."""
    engine = Engine(fails_after=2)
    ask = remembering(engine)

    outcomes = await asyncio.gather(read(ask), read(ask), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConnectionLost, ConnectionLost]
    assert engine.open == 0
    engine.fails_after = None
    assert (await read(ask))[1].text == "It wraps (2)."


async def test_all_who_wait_hear_how_the_queue_stands() -> None:
    """Late ones hear the last news, with the time that passed taken off; who left, or has words, hears no more."""
    ask = remembering(Engine())
    early: list[Event] = []
    late: list[Event] = []
    gone: list[Event] = []
    following: list[Event] = []
    first = asyncio.ensure_future(read(ask))
    second = asyncio.ensure_future(read(ask, call=Call("acme", emit=early.append)))
    leaving = asyncio.ensure_future(read(ask, call=Call("acme", emit=gone.append)))
    await asyncio.sleep(0.25)
    leaving.cancel()
    third = asyncio.ensure_future(read(ask, call=Call("acme", emit=late.append)))
    await asyncio.sleep(1)
    await read(ask, call=Call("acme", emit=following.append))
    await asyncio.gather(first, second, third)

    joined = Reused("answer", "in_flight")
    assert early == [Queued("chat", 3, 1.0), Queued("chat", 1, 0.5), joined]
    assert late == [Queued("chat", 3, 0.75), Queued("chat", 1, 0.5), joined]
    assert gone == [Queued("chat", 3, 1.0)]
    assert following == [joined]


async def test_what_another_replica_answered_is_looked_up_once() -> None:
    """A rush on a question that is kept elsewhere: one look-up, no generation."""

    class Remote:
        held: dict[bytes, bytes]
        asked: int

        def __init__(self) -> None:
            self.held, self.asked = {}, 0

        async def get(self, key: bytes) -> bytes | None:
            self.asked += 1
            await asyncio.sleep(0.1)
            return self.held.get(key)

        async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
            self.held[key] = value

    remote, engine, shelf = Remote(), Engine(), Shelf()

    def replica() -> AnswerReuse:
        tier = SharedTier(remote, bytes, encode_answer, decode_answer, 60.0)  # type: ignore[arg-type]  # keys are bytes
        return AnswerReuse(engine, KeptAnswers(shelf.edition, "model-x", shared=tier))

    _, first = await read(replica())
    asked = remote.asked
    ask = replica()
    seen: list[Event] = []
    answers = await asyncio.gather(*(read(ask, call=Call("acme", emit=seen.append)) for _ in range(100)))

    assert (len(engine.asked), remote.asked - asked) == (1, 1)
    assert {(answer.text, answer.receipt["reused"]) for _, answer in answers} == {(first.text, "cache")}
    assert seen == [Reused("answer", "cache")] * 100


async def test_a_shutdown_ends_what_is_in_flight() -> None:
    """Whoever still reads hears of it, and no task is left."""
    engine = Engine()
    ask = remembering(engine)
    reader = asyncio.ensure_future(read(ask))
    await asyncio.sleep(2.5)

    await ask.aclose()

    with pytest.raises(TruncatedStream):
        await reader
    assert engine.open == 0
    assert nothing_runs()
