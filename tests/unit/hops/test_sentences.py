"""What of a passage may be quoted."""

from __future__ import annotations

from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.hops.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It wraps\nhard here, and\n   is whole. The next is here!",
         ["It wraps hard here, and is whole.", "The next is here!"]),
        ("Heading of it\n*************\n\nThe text is under it.", ["The text is under it."]),
        ("# A heading of the text\n\nThe text is under it.", ["The text is under it."]),
        ("It is code.\n\n```\nThis is not a sentence.\n```\n\nThe text is after it.",
         ["The text is after it."]),
        ("This is it. You install it with:\n\n```sh\npip install x\n```\n\nThe text is after it.",
         ["You install it with: `pip install x`", "The text is after it."]),
        ("You install it with:\n\n```\npip install x\npip install y\n```\n\nThe text is after it.",
         ["The text is after it."]),
        ("What it needs to run:\n\n- Python 3.11 or newer\n- a key of your own\n\nThe text is after it.",
         ["What it needs to run: - Python 3.11 or newer - a key of your own", "The text is after it."]),
        ("The steps of it are:\n1. Open the door. Go in.\n2. Close it.",
         ["The steps of it are: 1. Open the door. Go in. 2. Close it."]),
        ("- the first of the items\n- the second of them is cut off at the",
         ["the first of the items"]),
        ("   with_stmt ::= the item.\n\nThe grammar is above it.", ["The grammar is above it."]),
        ("| a | the table of it. |\n\nThe table is above it.", ["The table is above it."]),
        ("1. The first is this.\n2. The second is that.\n- The third is a dash.",
         ["The first is this.", "The second is that.", "The third is a dash."]),
        ("See e.g. the book of Dr. Smith et al. for that. It is by J. Doe.",
         ["See e.g. the book of Dr. Smith et al. for that.", "It is by J. Doe."]),
        ("He said “it is so.” Then he left the room.", ["He said “it is so.”", "Then he left the room."]),
        ("cut off at the start of it. The second is whole.", ["The second is whole."]),
        ("The first is whole. The second is cut off at the", ["The first is whole."]),
        ("As shown before [3], it is so. [4] The next is this.", ["As shown before, it is so.", "The next is this."]),
        ("The value of x[0] is the first of it.", []),
        ("value = enter(manager); exit(the, value).", []),
        ("Version 3.10 of it is out. The 2.5 is not.", ["Version 3.10 of it is out.", "The 2.5 is not."]),
        ("", []),
        ("\n\n\n", []),
    ],
)  # fmt: skip
def test_takes_whole_sentences_of_prose(text: str, expected: list[str]) -> None:
    """No headings, code, grammar, tables, references or halves."""
    assert sentences(text) == expected


def test_reads_the_with_topic_as_prose() -> None:
    """The first thing quoted of the manual's `with` is its definition, and no line of its code is."""
    found = sentences(topics["with"])
    assert found[0].startswith('The "with" statement is used to wrap')
    assert found[1] == (
        'This allows common "try"…"except"…"finally" usage patterns to be encapsulated for convenient reuse.'
    )
    assert not [one for one in found if "TARGET" in one or "::=" in one or "SUITE" in one]


@given(st.text(alphabet=st.sampled_from('aB .!?\n[1]*-#|`="“”()'), max_size=80))
def test_any_text_is_taken(text: str) -> None:
    """Each sentence is one line, and its words stand in the text in that order."""
    for sentence in sentences(text):
        assert "\n" not in sentence
        rest = iter("".join(text.split()))
        assert all(letter in rest for letter in "".join(sentence.split()))
