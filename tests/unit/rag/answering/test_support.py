"""A citation leads to the sentence that supports what is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.hops.contract import Passage
from rushhour.rag.answering.cite import CitationChecker
from rushhour.rag.answering.support import places, support
from rushhour.rag.contract import Place

TOWER = (
    "Paris has many sights. The tower is 330 m\ntall, antennas included. It was built in 1889 by the company of "
    "Gustave Eiffel.\n\n- Tickets cost 29 euros.\n- Children pay half.\n\n```\nopening = 9\n\nclosing = 23\n```\n"
    "After eleven nobody may enter."
)
PASSAGE = Passage(
    1, "c/paris.md/1", TOWER, "Paris", "paris.md", page=4, file="paris.md", start=1000, end=1000 + len(TOWER)
)


def test_sentences_items_and_code_have_their_places() -> None:
    """In order, as they stand in the text, line ends and all."""
    assert [TOWER[place.start : place.end] for place in places(TOWER)] == [
        "Paris has many sights.",
        "The tower is 330 m\ntall, antennas included.",
        "It was built in 1889 by the company of Gustave Eiffel.",
        "- Tickets cost 29 euros.",
        "- Children pay half.",
        "```\nopening = 9\n\nclosing = 23\n```",
        "After eleven nobody may enter.",
    ]


@pytest.mark.parametrize(
    ("statement", "quote"),
    [
        ("The tower is 330 m tall.", "The tower is 330 m\ntall, antennas included."),
        ("Eiffel's company built it in 1889", "It was built in 1889 by the company of Gustave Eiffel."),
        ("children pay half the price", "- Children pay half."),
        (
            "The tower is 330 m tall and was built by Eiffel in 1889.",
            "The tower is 330 m\ntall, antennas included. It was built in 1889 by the company of Gustave Eiffel.",
        ),
        ("It closes at 23", "```\nopening = 9\n\nclosing = 23\n```"),
    ],
)
def test_the_sentence_that_shares_most_is_the_support(statement: str, quote: str) -> None:
    """Two neighbours where each knows a part of it."""
    place = support(statement, TOWER)
    assert TOWER[place.start : place.end] == quote


def test_where_nothing_is_shared_it_is_the_passage() -> None:
    """A translation, say."""
    assert support("Der Eingang ist geschlossen", f"  {TOWER}\n") == Place(2, 2 + len(TOWER))


@pytest.mark.parametrize(
    ("said", "quotes"),
    [
        ("It is 330 m tall [1].", ["The tower is 330 m\ntall, antennas included."]),
        ("It is 330 m tall. [1] Children pay half.", ["The tower is 330 m\ntall, antennas included."]),
        ("Paris is large. Children pay half [1].", ["- Children pay half."]),
        (
            "The tower is tall, 330 m [1], and was built in 1889 [1].",
            ["The tower is 330 m\ntall, antennas included.", "It was built in 1889 by the company of Gustave Eiffel."],
        ),
        ("According to [1], tickets cost 29 euros. Children pay half.", ["- Tickets cost 29 euros."]),
        ("[1] says that children pay half.", ["- Children pay half."]),
    ],
)
def test_each_mark_has_a_support_of_its_own(said: str, quotes: list[str]) -> None:
    """It is what the sentence says that the mark belongs to; in the document it stands where the passage starts."""
    checker = CitationChecker([PASSAGE])
    checker.feed(said)
    checker.finish()

    citations = checker.citations()

    assert [citation.quote for citation in citations] == quotes
    for citation in citations:
        document = " " * PASSAGE.start + TOWER
        assert document[citation.place.start : citation.place.end] == citation.quote


@settings(max_examples=80)
@given(st.text(max_size=60), st.text(alphabet=st.sampled_from("ab. \n-1`~)[]A"), max_size=60))
def test_any_place_is_inside_its_text(statement: str, text: str) -> None:
    """Whatever is said of whatever; places follow each other and miss no word."""
    place = support(statement, text)
    assert 0 <= place.start <= place.end <= len(text)
    ends = [(one.start, one.end) for one in places(text)]
    assert ends == sorted(ends)
    assert all(start < end for start, end in ends)
    assert sum(one.isalnum() for one in text) == sum(one.isalnum() for start, end in ends for one in text[start:end])
