"""Every `[n]` that leaves as a citation names a passage that was provided."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.hops.contract import Passage
from rushhour.rag.answering.cite import CitationChecker

PASSAGES = [Passage(n, f"c{n}", "text", "title", "source") for n in (1, 2, 3)]


def check(*pieces: str) -> tuple[str, list[int], int]:
    """Feed the pieces; return the text, the numbers cited, and how many were invalid."""
    checker = CitationChecker(PASSAGES)
    text = "".join([*(checker.feed(piece) for piece in pieces), checker.finish()])
    assert text == checker.text
    for citation in checker.citations():
        assert text[citation.start : citation.end] == f"[{citation.number}]"
    return text, [citation.number for citation in checker.citations()], checker.invalid


@pytest.mark.parametrize(
    ("said", "text", "cited", "invalid"),
    [
        ("It wraps a block [1].", "It wraps a block [1].", [1], 0),
        ("Both say so [1][3].", "Both say so [1][3].", [1, 3], 0),
        ("Both say so [1, 2].", "Both say so [1][2].", [1, 2], 0),
        ("Glued[2] counts.", "Glued[2] counts.", [2], 0),
        ("Nobody said this [7].", "Nobody said this .", [], 1),
        ("Half is known [2, 9].", "Half is known [2].", [2], 1),
        ("`values[1]` is code.", "`values[1]` is code.", [], 0),
        ("argv[0] is the program.", "argv[0] is the program.", [], 0),
        ("An open [", "An open [", [], 0),
        ("No markers at all.", "No markers at all.", [], 0),
        ("[1] stands first", "[1] stands first", [1], 0),
        ("a list [] stays", "a list [] stays", [], 0),
    ],
)
def test_markers(said: str, text: str, cited: list[int], invalid: int) -> None:
    """Known markers are citations, unknown ones are dropped, code is left alone."""
    assert check(said) == (text, cited, invalid)


def test_a_marker_cut_in_two_is_still_one() -> None:
    """Pieces may end anywhere; nothing half-known leaves."""
    checker = CitationChecker(PASSAGES)

    assert checker.feed("It does [") == "It does"
    assert checker.feed("1") == ""
    assert checker.feed("] and more") == " [1] and more"


@given(
    st.lists(st.sampled_from(["word ", "[1]", "[9]", "[1, 2]", "`a[1]` ", "x[0]", "[", "]", ", ", "3"]), max_size=12),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_how_the_text_is_cut_changes_nothing(parts: list[str], cuts: list[int]) -> None:
    """The same answer in other pieces gives the same text and the same citations."""
    said = "".join(parts)
    places = [0, *sorted(cut for cut in cuts if cut <= len(said)), len(said)]
    pieces = [said[begin:end] for begin, end in pairwise(places)]

    assert check(*pieces) == check(said)
