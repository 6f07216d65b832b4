"""For formats that bring structure rather than text: it is written as light Markdown, headings noted on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rushhour.rag.parse.document import Document, Heading, sections_between, titled


class Writer:
    """Collects blocks, a blank line between them; `document` makes one of all that was written."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []

    def heading(self, title: str, level: int) -> None:
        """Write a heading as one line; level 1 is the outermost, a blank one is passed over."""
        if title := " ".join(title.split()):
            start = self._length + (2 if self._parts else 0)
            self.block(f"{'#' * min(level, 6)} {title}")
            self._headings.append(Heading(title, level, start, self._length))

    def block(self, text: str) -> None:
        """Write a paragraph, a list, a table; a blank one is passed over."""
        if text.strip():
            self._add("\n\n" if self._parts else "", text.strip("\n").rstrip())

    def line(self, text: str) -> None:
        """Write a line directly under the one before."""
        if text.strip():
            self._add("\n" if self._parts else "", text.rstrip())

    def code(self, text: str, language: str = "") -> None:
        """Write a code block, in a fence longer than any inside it."""
        if text.strip():
            fence = "```"
            while fence in text:
                fence += "`"
            body = text.strip("\n").rstrip()
            self.block(f"{fence}{language}\n{body}\n{fence}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write a table with its first row as the header; one of a single cell is a paragraph."""
        if len(rows) == 1 and len(rows[0]) == 1:
            self.block(rows[0][0])
            return
        lines = [f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in row)} |" for row in rows if row]
        if len(lines) > 1:
            lines.insert(1, f"|{' --- |' * len(rows[0])}")
        self.block("\n".join(lines))

    def append(self, text: str, headings: Iterable[Heading]) -> None:
        """Write a text that has headings already."""
        if not text.strip():
            return
        shift = self._length + (2 if self._parts else 0)
        self._add("\n\n" if self._parts else "", text.rstrip())
        self._headings += [replace(one, start=one.start + shift, end=one.end + shift) for one in headings]

    def document(self, name: str, title: str = "") -> Document:
        """Return all of it; without a title, the only outermost heading or the file's name has to do."""
        text = "".join(self._parts)
        headings: Sequence[Heading] = self._headings
        if not title.strip():
            title, headings = titled(headings, name)
        return Document(" ".join(title.split()), text, tuple(sections_between(text, headings)), "markdown")

    def _add(self, between: str, text: str) -> None:
        self._parts += (between, text)
        self._length += len(between) + len(text)
