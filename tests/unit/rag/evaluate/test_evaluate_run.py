"""All questions are asked once, some at a time, and nothing that happened on the way is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rushhour.catalog.contract import Chunk
from rushhour.errors import Unavailable
from rushhour.flow.call import Call
from rushhour.flow.policies.fallback import Degraded
from rushhour.hops.contract import Passage, Usage, Used
from rushhour.rag.evaluate.configuration import Configuration
from rushhour.rag.evaluate.dataset import Labelled
from rushhour.rag.evaluate.run import Ranked, Setup, run, warm_up

FUSION = Configuration("fusion")
QUESTIONS = [Labelled(f"q{n}", f"question {n}", {"d0": 1}) for n in range(10)]


def hit(document: str, score: float, text: str = "some text") -> tuple[Chunk, float]:
    """Return a chunk of a document, with its score."""
    return Chunk(f"c/{document}/{score}", document, 0, text), score


class ScriptedRetriever:
    """Answers every question with the same hits after some seconds; remembers who asked for what."""

    def __init__(self, *hits: tuple[Chunk, float], seconds: float = 1.0, fails_at: str = "") -> None:
        self.hits = hits
        self.seconds = seconds
        self.fails_at = fails_at
        self.asked: list[tuple[str, str, bool]] = []
        self.running = self.peak = 0

    async def ranked(
        self, collection: str, question: str, call: Call, *, limit: int, ranking: str, rerank: bool
    ) -> Ranked:
        """Play the script."""
        self.asked.append((question, ranking, rerank))
        self.running += 1
        self.peak = max(self.peak, self.running)
        call.emit(Used("embed", "model", Usage(input_tokens=7)))
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        if question == self.fails_at:
            raise Unavailable("the store is down")
        if question == "question 3":
            call.emit(Degraded("rerank", "no_rerank", Unavailable("busy")))
        return self.hits[:limit]


async def pack(collection: str, ranked: Ranked, top_k: int) -> Sequence[Passage]:
    """Make a passage of each chunk."""
    return [Passage(n, chunk.id, chunk.text, "", "") for n, (chunk, _) in enumerate(ranked[:top_k], 1)]


def setup(retriever: ScriptedRetriever, at_once: int = 4, limit: int = 100, top_k: int = 8) -> Setup:
    """Ask that retriever."""
    return Setup(retriever, pack, "c", limit, top_k, at_once)


async def test_questions_are_under_way_so_many_at_a_time() -> None:
    """Ten questions of a second, four at a time: three rounds."""
    retriever = ScriptedRetriever(hit("d0", 1.0))
    told: list[float] = []

    trial = await run(setup(retriever), FUSION, QUESTIONS, lambda: told.append(asyncio.get_running_loop().time()))

    assert retriever.peak == 4
    assert told == [1.0] * 4 + [2.0] * 4 + [3.0] * 2
    assert [question for question, _, _ in retriever.asked] == [one.text for one in QUESTIONS]
    assert [reply.seconds for reply in trial.replies] == [1.0] * 10


async def test_the_configuration_is_what_is_asked_for() -> None:
    """Ranking and reranking are said each time: what is set up does not decide."""
    retriever = ScriptedRetriever()
    await run(setup(retriever), Configuration("rrf", rerank=True), QUESTIONS[:1])
    await run(setup(retriever), FUSION, QUESTIONS[:1])

    assert [(ranking, rerank) for _, ranking, rerank in retriever.asked] == [("rrf", True), ("fusion", False)]


async def test_a_document_is_where_its_best_chunk_is() -> None:
    """Each document counts once, and ten of them at most."""
    hits = [hit("b", 0.9), hit("a", 0.8), hit("b", 0.7), hit("c", 0.6), *(hit(f"d{n}", 0.1) for n in range(9))]
    trial = await run(setup(ScriptedRetriever(*hits)), FUSION, QUESTIONS[:1])

    assert trial.replies[0].documents == ("b", "a", "c", "d0", "d1", "d2", "d3", "d4", "d5", "d6")


async def test_an_answer_is_looked_for_in_the_passages() -> None:
    """Only in as many as a generator would get, and only for questions that have one."""
    asked = [
        Labelled("q0", "who?", {"d0": 1}, ("Ada Lovelace",)),
        Labelled("q1", "who else?", {"d0": 1}, ("Babbage",)),
        Labelled("q2", "who knows?", {"d0": 1}),
    ]
    hits = [hit("d0", 0.9, "It was ADA   Lovelace."), hit("d1", 0.8, "Nobody."), hit("d2", 0.7, "Charles Babbage.")]
    trial = await run(setup(ScriptedRetriever(*hits), top_k=2), FUSION, asked)

    assert [reply.holds_answer for reply in trial.replies] == [True, False, None]


async def test_what_was_spent_and_what_was_less_is_told() -> None:
    """Tokens of all questions together; what was degraded, by question."""
    trial = await run(setup(ScriptedRetriever(hit("d0", 1.0))), FUSION, QUESTIONS)

    assert trial.hops["embed"]["input_tokens"] == 70
    assert [reply.degraded for reply in trial.replies] == [()] * 3 + [("no_rerank",)] + [()] * 6


async def test_a_question_that_fails_ends_the_run() -> None:
    """The cause itself is raised, and no question stays under way."""
    retriever = ScriptedRetriever(hit("d0", 1.0), fails_at="question 2")
    with pytest.raises(Unavailable, match="the store is down"):
        await run(setup(retriever), FUSION, QUESTIONS)

    assert retriever.running == 0
    assert len(retriever.asked) < len(QUESTIONS)


async def test_who_stops_waiting_stops_all_questions() -> None:
    """Cancelling leaves nothing behind."""
    retriever = ScriptedRetriever(seconds=60)
    task = asyncio.create_task(run(setup(retriever), FUSION, QUESTIONS))
    await asyncio.sleep(90)
    assert retriever.running == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert retriever.running == 0


async def test_warming_up_tells_at_once_what_would_be_less() -> None:
    """One question finds out that the reranker is not there; where nothing is wrong, nothing is said."""
    retriever = ScriptedRetriever(hit("d0", 1.0))
    await warm_up(setup(retriever), FUSION, QUESTIONS[0])
    with pytest.raises(Unavailable, match="busy"):
        await warm_up(setup(retriever), FUSION, QUESTIONS[3])

    assert len(retriever.asked) == 2
