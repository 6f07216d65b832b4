"""Documents in many formats become one shape: text, and where its sections begin.

A new format is one file here and one line in `PARSERS`. Parsers are plain functions on bytes, so that they can run
in any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final, TypeAlias

from rushhour.errors import EmptyDocument, UnsupportedFormat
from rushhour.rag.parse.document import HEADING_SEPARATOR, Document, Section
from rushhour.rag.parse.html import parse_html
from rushhour.rag.parse.markdown import parse_markdown
from rushhour.rag.parse.pdf import parse_pdf
from rushhour.rag.parse.plain import parse_plain

__all__ = ["HEADING_SEPARATOR", "PARSERS", "Document", "Section", "check_format", "parse"]

Parser: TypeAlias = Callable[[str, bytes], Document]

PARSERS: Final[Mapping[str, Parser]] = {
    ".txt": parse_plain,
    ".md": parse_markdown,
    ".html": parse_html,
    ".htm": parse_html,
    ".pdf": parse_pdf,
}


def check_format(name: str) -> None:
    """Raise UnsupportedFormat, naming the supported ones, unless a parser is registered for this file name."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in PARSERS:
        ending = f"the format {suffix!r}" if suffix else "a name without an ending"
        raise UnsupportedFormat(f"{name}: {ending} is not supported. Supported are {', '.join(PARSERS)}.")


def parse(name: str, content: bytes) -> Document:
    """Parse a document by the ending of its name.

    Raises UnsupportedFormat naming the supported formats, UnreadableDocument for broken bytes, EmptyDocument if
    there is no text.
    """
    check_format(name)
    if not content.strip():
        raise EmptyDocument(f"{name} is empty.")
    document = PARSERS[PurePath(name).suffix.lower()](name, content)
    if not document.sections:
        raise EmptyDocument(f"{name} holds no text. If it is scanned or made of pictures, recognise its text first.")
    return document
