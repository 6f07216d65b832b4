"""What kind of thing a question asks for, and which sentence has it."""

from __future__ import annotations

import pytest

from rushhour.hops.wanted import Wanted


@pytest.mark.parametrize(
    ("question", "has", "has_not"),
    [
        ("When was it built?", "It was built in 1889.", "It was built by Eiffel."),
        ("What year did he die?", "He died in the spring of 1943.", "He died poor and alone."),
        ("How many stairs are there?", "There are 1,665 stairs to the top.", "There are many stairs to the top."),
        ("How tall is it?", "It is three hundred metres tall.", "It is very tall indeed."),
        ("Who built it?", "It was built by Gustave Eiffel.", "it was built by a company."),
        ("Where does he live?", "He lives in Paris.", "He lives alone."),
        ("Why did it close?", "It closed because of the storm.", "It closed at noon."),
        ("What is a fjord?", "A fjord is a long inlet with steep sides.", "Ships sail the fjord every day."),
    ],
)
def test_a_sentence_that_has_it(question: str, has: str, has_not: str) -> None:
    """Times, numbers, names, places, causes and definitions are told by their signs."""
    wanted = Wanted(question)
    assert wanted.share(has) == 1
    assert wanted.share(has_not) < 1


def test_a_question_of_no_kind_wants_nothing() -> None:
    """Then no sentence has more of it than another."""
    assert Wanted("Does it rain?").share("In 1889 it rained in Paris because of 3 clouds.") == 0
