"""What was asked, written down for another process."""

from __future__ import annotations

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rag.documents.asked import Asked

WHOLE = Asked(
    ("/docs", "-", "/caf\udce9.txt", "https://x/ü"),
    ("drafts/", "*.l\udcf6g"),
    "notes.md",
    allow_private=True,
    keep_missing=True,
    spooled="ab" * 32,
    metadata=(("draft", False), ("share", 0.5), ("team", "Büro"), ("year", 2026)),
)


def test_it_is_read_back_as_it_was() -> None:
    """Names of files are bytes, which need not be UTF-8; what is written down can be stored as text."""
    text = WHOLE.as_json()

    assert text.isascii()
    assert Asked.from_json(text) == WHOLE
    assert Asked.from_json(Asked().as_json()) == Asked()


def test_what_is_shown_can_be_printed() -> None:
    """Bytes that are no UTF-8 are replaced."""
    assert WHOLE.shown == "/docs - /caf\ufffd.txt https://x/ü"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"paths": 3}', '{"metadata": [["a"]]}'])
def test_what_nobody_wrote_is_refused(text: str) -> None:
    """The message says what to do."""
    with pytest.raises(InvalidRequest, match="Start the ingestion anew"):
        Asked.from_json(text)
