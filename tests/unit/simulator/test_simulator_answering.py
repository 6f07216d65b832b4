"""The simulated model quotes its context, and only its context."""

import pytest

from rushhour.simulator.answering import UNKNOWN, Answerer, split_sentences, take_apart

PASSAGES = """Passages:

[1] Compound statements > The with statement
The "with" statement is used to wrap the execution of a block with methods defined by a context
manager. It appeared in Python 2.5.

[2] Simple statements
The "del" statement removes the binding of a name from the local or global namespace. Deletion of
a target list recursively deletes each target, from left to right.

Question: """

PLAIN = """Answer the question from the context below.

Context:
Tuples are immutable sequences. Lists are mutable sequences.

Sets are unordered collections of distinct hashable objects. Common uses include membership testing.

Question: {question}
Answer:"""


def test_numbered_passages_are_quoted_verbatim_and_cited() -> None:
    """The best sentence stands in “…” with its own line break, followed by its number."""
    answer = Answerer().answer(["Cite like [1]."], PASSAGES + "What does del remove from a namespace?")

    quote = 'The "del" statement removes the binding of a name from the local or global namespace.'
    assert f"“{quote}” [2]" in answer


def test_a_quote_keeps_the_line_breaks_of_its_passage() -> None:
    """Verbatim is verbatim."""
    answer = Answerer().answer([], PASSAGES + "In which order are targets of a target list deleted?")

    assert "“Deletion of\na target list recursively deletes each target, from left to right.” [2]" in answer


def test_plain_contexts_are_quoted_without_a_number() -> None:
    """A tutorial's prompt gets a quote too."""
    answer = Answerer().answer([], PLAIN.format(question="What are sets of distinct hashable objects?"))

    assert "“Sets are unordered collections of distinct hashable objects.”" in answer


def test_a_context_in_the_system_message_is_read() -> None:
    """Passages may stand in the system message and the question alone in the user's."""
    context = PASSAGES.removesuffix("\n\nQuestion: ")

    assert "” [1]" in Answerer().answer([context], "What wraps the execution of a block?")


@pytest.mark.parametrize("question", ["Who won the football championship?", "…", "what is it"])
def test_what_the_context_does_not_hold_is_not_known(question: str) -> None:
    """Nothing is made up."""
    assert Answerer().answer([], PLAIN.format(question=question)) == UNKNOWN


def test_the_same_prompt_gives_the_same_answer() -> None:
    """Answers do not depend on what was asked before."""
    answerer = Answerer()
    first = answerer.answer([], PASSAGES + "What is used to wrap a block?")
    answerer.answer([], PLAIN.format(question="What are tuples?"))

    assert answerer.answer([], PASSAGES + "What is used to wrap a block?") == first
    assert Answerer().answer([], PASSAGES + "What is used to wrap a block?") == first


def test_whole_books_are_answered_and_not_remembered() -> None:
    """A client that sends them again and again does not fill the memory."""
    answerer = Answerer()
    book = "Sets are distinct hashable objects. " * 2_000
    asked = PLAIN.format(question="What are sets of distinct hashable objects?")

    assert answerer.answer([book], asked) == answerer.answer([book], asked) != UNKNOWN

    assert len(answerer._answers) == 0
    assert len(answerer._passages) == 0
    answerer.answer([], asked)
    assert len(answerer._answers) == 1
    assert len(answerer._passages) > 0


@pytest.mark.parametrize(
    ("asked", "question"),
    [
        ("What is a tuple?", "What is a tuple?"),
        ("Some context.\n\nWhat is a tuple?", "What is a tuple?"),
        ("Context: x\n\nQuestion: What is a tuple?\nHelpful Answer:", "What is a tuple?"),
        ("Question: What is a tuple?\n\nContext:\nTuples are sequences.", "What is a tuple?"),
        ("<context>x</context>\n<question>What is a tuple?</question>", "What is a tuple?"),
        ("The first question: easy.\n\nQuery: What is a tuple?", "What is a tuple?"),
    ],
)
def test_the_question_is_found(asked: str, question: str) -> None:
    """Labels, tags, and the last paragraph of a prompt are understood."""
    assert take_apart([], asked).question == question


def test_numbers_out_of_turn_belong_to_the_text() -> None:
    """A list index at the beginning of a line does not begin a passage."""
    prompt = take_apart([], "[1] First.\n[7]\nstill first\n\n[2] Second.\n\nQuestion: which?")

    assert [(number, text) for number, text in prompt.passages if number] == [
        (1, "First.\n[7]\nstill first"),
        (2, "Second."),
    ]


def test_sentences_are_cut_verbatim() -> None:
    """A heading is a sentence of its own, abbreviations within a line are not ends, nothing is lost."""
    text = 'Built-in types\nThe type is "int". Use e.g. this one! What else?'

    cut = [sentence.text for sentence in split_sentences(text)]

    assert cut == ["Built-in types", 'The type is "int".', "Use e.g. this one!", "What else?"]


def test_a_long_sentence_is_shortened_at_a_word() -> None:
    """Quotes stay short and verbatim."""
    long = "Zebras " + " ".join(f"word{n}" for n in range(100)) + "."
    answer = Answerer().answer([], f"{long}\n\nQuestion: What about zebras?")
    quote = answer.partition("“")[2].partition("”")[0]

    assert 200 < len(quote) <= 240
    assert long.startswith(quote + " ")
