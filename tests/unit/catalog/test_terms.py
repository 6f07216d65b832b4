"""How a person's text becomes words to look for."""

import pytest

from rushhour.catalog.lexical import MAX_TERMS, terms


@pytest.mark.parametrize(
    ("query", "telling", "common"),
    [
        ("What does the with statement do?", ["statement"], ["with"]),
        ("what is this?", ["what", "is", "this"], []),
        ("ECONNRESET, econnreset", ["econnreset"], []),
        ("snake_case don't", ["snake", "case"], []),
        ("?!", [], []),
    ],
)
def test_words_are_sorted_by_what_they_tell(query: str, telling: list[str], common: list[str]) -> None:
    """Common words count in headings only, unless there are no others; question words not at all."""
    assert terms(query) == (telling, common)


def test_a_pasted_page_is_cut() -> None:
    """The number of words that are looked up is bounded."""
    telling, common = terms(" ".join(f"word{n}" for n in range(1000)))

    assert len(telling) + len(common) == MAX_TERMS
