"""Answers without a model, over Python's own manual."""

from __future__ import annotations

from itertools import pairwise
from pydoc_data.topics import topics

import pytest

from rushhour.flow.call import Call, Event
from rushhour.hops.contract import ChatRequest, Message, Passage
from rushhour.hops.extractive import NO_ANSWER, Extractive, best_sentences
from rushhour.hops.quoting import MOST
from rushhour.hops.words import stem

FAR_OFF = "The capital of Norway is Oslo, which lies at the head of a fjord and has many museums."


def topic(name: str, number: int, score: float = 0.5) -> Passage:
    """Take one topic of the manual as a passage."""
    return Passage(number, f"m/{name}/{number}", topics[name], f"The {name} topic", name, score=score)


def passage(number: int, text: str, **more: object) -> Passage:
    """Make a passage."""
    return Passage(number, f"c/{number}", text, "A file", "a.txt", **more)  # type: ignore[arg-type]  # tests only


async def answer(question: str, *passages: Passage, max_tokens: int = 500) -> tuple[str, str | None]:
    """Ask and join the stream."""
    request = ChatRequest((Message("user", question),), max_tokens, question=question, passages=passages)
    async with await Extractive()(request, Call()) as stream:
        deltas = [delta async for delta in stream]
    return "".join(delta.text for delta in deltas), deltas[-1].finish_reason


async def test_answers_what_the_with_statement_does() -> None:
    """The definition comes first, quoted on one line, and is cited by its passage's number."""
    text, finish = await answer("what does the with statement do?", topic("lambda", 1), topic("with", 2, 0.9))
    assert text.startswith(
        'The "with" statement is used to wrap the execution of a block with methods defined by a context manager '
        "(see section With Statement Context Managers). [2]"
    )
    assert "::=" not in text
    assert "SUITE" not in text
    assert finish == "stop"


async def test_a_question_from_the_messages_is_enough() -> None:
    """Callers that know no passages' question put it in the last user turn."""
    turns = (Message("user", "Hello"), Message("user", "What are lambda expressions?"))
    async with await Extractive()(ChatRequest(turns, 200, passages=(topic("lambda", 1),)), Call()) as stream:
        assert "anonymous functions" in (await anext(stream)).text


async def test_says_honestly_when_nothing_fits() -> None:
    """No overlap, too little overlap, no passages: never a guess."""
    for question in (
        "How do I bake bread?",
        "Who won the cup in 2018?",
        "What is the capital of Wisconsin?",
        "and?",
        "",
    ):
        said, _ = await answer(question, topic("with", 1), passage(2, FAR_OFF))
        assert said == f"{NO_ANSWER} Closest: “The with topic”, “A file”."
    assert (await answer("What is the with statement?"))[0] == NO_ANSWER


async def test_counts_usage_and_pays_nobody() -> None:
    """Usage is for the client's eyes; no Used event is emitted."""
    seen: list[Event] = []
    request = ChatRequest((), 500, question="What is the capital of Norway?", passages=(passage(1, FAR_OFF),))
    async with await Extractive()(request, Call(emit=seen.append)) as stream:
        last = [delta async for delta in stream][-1]
    assert last.usage is not None
    assert last.usage.input_tokens == (len(FAR_OFF) + len(request.question)) // 4 + 1
    assert last.usage.output_tokens > 0
    assert seen == []


def test_the_best_passage_first_each_in_its_own_order_and_at_most_four() -> None:
    """The reader starts with what fits best, and follows a passage as it was written."""
    lines = [
        "Visitors reach the tower by the old harbour road.",
        "The tower was finished under king Olav in 1299.",
        "Lightning struck the tower twice during one August night.",
        "Swallows nest below the tower every spring.",
        "A copper roof has covered the tower since the great fire.",
        "Nobody may climb the tower after eight in the evening.",
    ]
    passages = [passage(2, " ".join(lines[3:]), score=0.9), passage(1, " ".join(lines[:3]), score=0.1)]
    quoted = best_sentences("What about the tower?", passages)
    assert 1 < len(quoted) <= MOST
    places = [lines.index(one[:-4]) for one in quoted]
    cited = [one[-3:] for one in quoted]
    assert cited == ["[1]" if place < 3 else "[2]" for place in places]
    assert cited == sorted(cited, reverse=True)
    assert all(one < other for one, other in pairwise(places) if (one < 3) == (other < 3))


def test_says_the_same_thing_only_once() -> None:
    """Overlapping chunks carry the same sentence."""
    quoted = best_sentences("What is the capital of Norway?", [passage(1, FAR_OFF), passage(2, FAR_OFF)])
    assert len(quoted) == 1


def test_quoted_stop_words_count() -> None:
    """What a question puts in quotes is what it asks about."""
    assert best_sentences('what is "with" for?', [topic("with", 1)])[0].startswith('The "with" statement is used')


def test_rarer_words_weigh_more() -> None:
    """The sentence that knows the rare word of the question wins over the one that knows the common one."""
    text = "The tower is tall and old. The tower is made of iron. The tower was repainted by Eiffel in 1899."
    quoted = best_sentences("When was the tower repainted?", [passage(1, text)])
    assert any("repainted" in one for one in quoted)


async def test_keeps_within_max_tokens() -> None:
    """What does not fit is left out whole, and the finish reason says so."""
    whole, _ = await answer("what does the with statement do?", topic("with", 1))
    cut, finish = await answer("what does the with statement do?", topic("with", 1), max_tokens=45)
    assert whole.startswith(cut)
    assert len(cut) < len(whole)
    assert finish == "length"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("evaluates", "evaluation"),
        ("running", "run"),
        ("classes", "class"),
        ("tries", "try"),
        ("defined", "defines"),
        ("passing", "pass"),
        ("statements", "statement"),
        ("executions", "execute"),
    ],
)
def test_inflections_meet(one: str, other: str) -> None:
    """A question and its answer use different forms of a word."""
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("import", "important"), ("is", "as"), ("class", "clause"), ("int", "in")])
def test_different_words_stay_apart(one: str, other: str) -> None:
    """The stemmer does not cut too deep."""
    assert stem(one) != stem(other)
