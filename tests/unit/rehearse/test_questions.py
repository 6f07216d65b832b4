"""Questions of the manual with a known answer."""

from collections import Counter

import pytest

from rushhour.rehearse.corpus import Document, python_manual, sentences
from rushhour.rehearse.judge import quotes
from rushhour.rehearse.questions import LENGTH, Question, is_distinctive, make_questions


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    """Return the real manual of this Python."""
    return python_manual()


@pytest.fixture(scope="module")
def questions(corpus: list[Document]) -> list[Question]:
    """Return the questions of seed 1."""
    return make_questions(corpus, seed=1)


def test_the_manual_yields_enough_questions(corpus: list[Document], questions: list[Question]) -> None:
    """Every CPython carries enough text for a crowd of different questions."""
    assert sum(len(document.text) for document in corpus) > 300_000
    assert len(questions) >= 300
    assert len({question.text for question in questions}) == len(questions)
    assert len({question.topic for question in questions}) > 30


def test_each_gold_stands_once_in_the_corpus(corpus: list[Document], questions: list[Question]) -> None:
    """An answer cannot be right by quoting another place."""
    copies = Counter(sentence for document in corpus for sentence in sentences(document))

    assert all(copies[question.gold] == 1 and len(question.gold) in LENGTH for question in questions)


def test_no_question_gives_its_answer_away(questions: list[Question]) -> None:
    """Whoever echoes the question is wrong."""
    assert not [question for question in questions if quotes(question.text, question.gold)]


def test_no_answer_is_right_for_another_question(questions: list[Question]) -> None:
    """Somebody else's answer is recognised as wrong."""
    golds = " | ".join(question.gold for question in questions)

    assert all(golds.count(question.gold.rstrip(".")) == 1 for question in questions)


def test_the_seed_decides(corpus: list[Document], questions: list[Question]) -> None:
    """The same seed asks the same in the same order; another one does not."""
    assert make_questions(corpus, seed=1) == questions
    assert make_questions(corpus, seed=2)[:20] != questions[:20]


def test_code_grammar_and_tables_are_no_prose() -> None:
    """Only sentences can be asked about."""
    text = (
        'Title\n*****\n\n   stmt ::= "with" item. Not prose at all it is.\n\n   >>> code()\n\n'
        '* This is real prose about "widgets".  It goes\n  on over a line.\n\n"term()"\n   Explains the term well.\n'
    )

    found = sentences(Document("t", "Title", text))

    assert "It goes on over a line." in found
    assert not [sentence for sentence in found if "::=" in sentence or "code" in sentence or "term" in sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "Too short a sentence.",
        "This one has an abbreviation, e.g. one that a splitter could mistake for the end of it, which would be bad.",
        "It is the one that was in it and at it, for it had been so before, and so it will be then and there again.",
        "A sentence about chunking with [1] a bracketed number could be mistaken for a citation of some passage here.",
    ],
)
def test_what_cannot_be_a_gold(sentence: str) -> None:
    """Too short, ambiguous to split, without content, or with marks of its own."""
    assert not is_distinctive(sentence)


def test_a_clause_becomes_a_natural_question() -> None:
    """“If X, Y.” is asked as what happens if X."""
    gold = "If the wrapped finalizer misbehaves badly, the interpreter prints a diagnostic traceback and goes on."
    document = Document("gc", "Garbage", f"Garbage\n*******\n\n{gold}\n")

    (question,) = make_questions([document], seed=0)

    assert "if the wrapped finalizer misbehaves badly" in question.text
    assert question.gold == gold
