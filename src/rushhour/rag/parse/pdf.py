"""PDF, page by page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final

import pypdfium2

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.decode import clean
from rushhour.rag.parse.document import Document, Section

_PDFIUM: Final = threading.Lock()  # PDFium is not thread-safe, not even for two documents
_BETWEEN_PAGES: Final = "\n\n"
_HYPHEN: Final = re.compile(r"(?<=\w)\ufffe[ \t]*\n?")  # PDFium's mark for a word broken at a line's end
_ENDS: Final = re.compile(r"[.!?:;\"”)]$")


def parse_pdf(name: str, content: bytes) -> Document:
    """Parse a PDF: one section a page, numbered from 1.

    Raises UnreadableDocument for one that is broken or encrypted. Lines are joined into paragraphs where they were
    only broken by the page's width.
    """
    with _PDFIUM:
        try:
            pdf = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as cause:
            raise UnreadableDocument(f"{name} {_reason(cause)}") from cause
        try:
            title = clean(pdf.get_metadata_dict().get("Title", "")).strip()
            pages = [_unwrapped(text) for text in _texts(name, pdf)]
        finally:
            pdf.close()
    return Document(title or PurePath(name).stem, _BETWEEN_PAGES.join(pages), tuple(_sections(pages)))


def _texts(name: str, pdf: Any) -> Iterator[str]:
    for number in range(len(pdf)):
        try:
            page = pdf[number]
        except pypdfium2.PdfiumError as cause:
            raise UnreadableDocument(f"{name} is broken: its page {number + 1} cannot be read ({cause}).") from cause
        try:
            text = page.get_textpage()
            try:
                yield text.get_text_range()
            finally:
                text.close()
        finally:
            page.close()


def _reason(cause: pypdfium2.PdfiumError) -> str:
    if "password" in str(cause).lower():
        return "is encrypted. Save a copy without its password and ingest that."
    return f"is no PDF, or a broken one ({cause}). Open it in a viewer and save it anew."


def _unwrapped(page: str) -> str:
    lines = [line.strip() for line in _HYPHEN.sub("", clean(page)).split("\n")]
    full = 0.7 * max(map(len, lines))
    text = ""
    for before, line in zip(["", *lines], lines, strict=False):
        runs_on = before and line and len(before) >= full and not _ENDS.search(before)
        text += (" " if runs_on else "\n") + line
    return text.strip()


def _sections(pages: list[str]) -> Iterator[Section]:
    start = 0
    for number, text in enumerate(pages, start=1):
        if text:
            yield Section(text, (), number, start)
        start += len(text) + len(_BETWEEN_PAGES)
