"""How tutorials cut a text: apart from the naive pipeline, so that who asks only for this loads no SDK."""

from __future__ import annotations

from rushhour.rehearse.corpus import Document

CHUNK = 1_000
OVERLAP = 200


def chunk(document: Document) -> list[tuple[str, str]]:
    """Cut a document every 800 characters into chunks of 1,000; return (id, text) pairs."""
    starts = range(0, max(len(document.text) - OVERLAP, 1), CHUNK - OVERLAP)
    return [(f"{document.name}-{n}", document.text[at : at + CHUNK]) for n, at in enumerate(starts)]
