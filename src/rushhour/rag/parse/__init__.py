"""Documents in many formats become one shape: text, and where its sections begin.

A new format is one file here and one line in `PARSERS`. Parsers are plain functions on bytes, which depend on nothing
else, so that they can run in any thread or process; each is loaded when the first file of its format comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import PurePath
from typing import Final, TypeAlias

from rushhour.errors import EmptyDocument, UnreadableDocument, UnsupportedFormat
from rushhour.rag.parse.code import LANGUAGES
from rushhour.rag.parse.document import HEADING_SEPARATOR, Document, Section

__all__ = [
    "HEADING_SEPARATOR",
    "MAX_BYTES",
    "PACKED",
    "PARSERS",
    "VERSION",
    "Document",
    "Section",
    "check_format",
    "format_of",
    "parse",
    "parser",
]

VERSION: Final = 2
"""Grows whenever the same bytes would become another document: then files are ingested anew."""

MAX_BYTES: Final = 64 * 2**20
"""Size of a file that is read at all."""
MAX_CHARACTERS: Final = 32_000_000
"""Length of a document's text: some 16,000 pages."""

Parser: TypeAlias = Callable[[str, bytes], Document]

PARSERS: Final[Mapping[str, str]] = {
    ".txt": "plain.parse_plain",
    ".text": "plain.parse_plain",
    ".log": "plain.parse_plain",
    ".md": "markdown.parse_markdown",
    ".markdown": "markdown.parse_markdown",
    ".rst": "rst.parse_rst",
    ".html": "html.parse_html",
    ".htm": "html.parse_html",
    ".xhtml": "html.parse_html",
    ".pdf": "pdf.parse_pdf",
    ".docx": "docx.parse_docx",
    ".epub": "epub.parse_epub",
    ".csv": "csv.parse_csv",
    ".tsv": "csv.parse_csv",
    ".json": "json.parse_json",
    ".jsonl": "json.parse_jsonl",
    ".ndjson": "json.parse_jsonl",
    **dict.fromkeys(LANGUAGES, "code.parse_code"),
}
"""The parser of each format, as `module.function`, by the ending of a file's name or, without one, the whole name."""

PACKED: Final = frozenset((".pdf", ".docx", ".epub"))
"""Formats whose bytes are no text."""


def format_of(name: str) -> str:
    """Return the key of `PARSERS` for a file's name; raises UnsupportedFormat, naming the supported ones."""
    path = PurePath(name)
    found = next((key for key in (path.suffix.lower(), path.name.lower()) if key in PARSERS), "")
    if not found:
        ending = f"the format {path.suffix.lower()!r}" if path.suffix else "a name without an ending"
        documents = " ".join(key for key in PARSERS if key not in LANGUAGES)
        raise UnsupportedFormat(f"{name}: {ending} is not supported. Supported are {documents} and source code.")
    return found


def check_format(name: str) -> None:
    """Raise UnsupportedFormat, naming the supported ones, unless a parser is registered for this file name."""
    format_of(name)


def parser(form: str) -> Parser:
    """Return the parser of a format, loading it if need be."""
    module, function = PARSERS[form].split(".")
    loaded: Parser = getattr(import_module(f"{__name__}.{module}"), function)
    return loaded


def parse(name: str, content: bytes, form: str = "") -> Document:
    """Parse a document by the ending of its name, or as the format that is given.

    Raises UnsupportedFormat naming the supported formats, UnreadableDocument for broken bytes or too many of them,
    EmptyDocument if there is no text.
    """
    form = form or format_of(name)
    if not content.strip():
        raise EmptyDocument(f"{name} is empty.")
    document = parser(form)(name, content)
    if not document.sections:
        raise EmptyDocument(f"{name} holds no text. If it is scanned or made of pictures, recognise its text first.")
    if len(document.text) > MAX_CHARACTERS:
        raise UnreadableDocument(
            f"{name} holds {len(document.text):,} characters, and {MAX_CHARACTERS:,} are read. Split it."
        )
    return document
