"""What every parser returns: one text, its title, and its sections in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal

HEADING_SEPARATOR: Final = " > "


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document under one heading (or on one page), without the heading's own line.

    `text` is `document.text[start:end]`; `headings` are those above it, the outermost first.
    """

    text: str
    headings: tuple[str, ...]
    page: int | None
    start: int

    @property
    def end(self) -> int:
        """Where it ends, in characters of the document's text."""
        return self.start + len(self.text)

    @property
    def heading_path(self) -> str:
        """Its headings as one line: `Install > On Linux`."""
        return HEADING_SEPARATOR.join(self.headings)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document; `markup` says how its text marks code and lists."""

    title: str
    text: str
    sections: tuple[Section, ...]
    markup: Literal["plain", "markdown"] = "plain"


NO_HEADING: Final = 7
"""The level of what stands apart from the text and is no heading, such as a front matter."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a text: from `start` to `end` lie its own lines, underline and all; level 1 is the outermost."""

    title: str
    level: int
    start: int
    end: int


def titled(headings: Sequence[Heading], name: str) -> tuple[str, Sequence[Heading]]:
    """Return a document's title and its headings without the one that became the title.

    The only heading of the outermost level is the title if it comes first; else the file's name has to do.
    """
    if headings and sum(heading.level <= headings[0].level for heading in headings) == 1:
        return headings[0].title, [Heading("", *_span(headings[0])), *headings[1:]]
    return PurePath(name).stem, headings


def sections_between(text: str, headings: Iterable[Heading]) -> Iterator[Section]:
    """Yield what stands between the headings, each with the path of headings above it; blank ones are left out.

    A heading without a title ends the section before it and adds nothing to the path. Where there is nothing but
    headings, they are what the document says.
    """
    listed = tuple(headings)
    sections = tuple(_between(text, listed))
    yield from sections
    if not sections and (shown := [heading for heading in listed if heading.level < NO_HEADING]):
        yield from _section(text, shown[0].start, shown[-1].end, ())


def _between(text: str, headings: Iterable[Heading]) -> Iterator[Section]:
    path: list[Heading] = []
    start = 0
    for heading in headings:
        yield from _section(text, start, heading.start, path)
        path = [above for above in path if above.level < heading.level]
        if heading.title:
            path.append(heading)
        start = heading.end
    yield from _section(text, start, len(text), path)


def _section(text: str, start: int, end: int, path: Sequence[Heading]) -> Iterator[Section]:
    body = text[start:end].rstrip()
    blank = len(body) - len(body.lstrip("\n \t"))
    indented = body.rfind("\n", 0, blank) + 1  # the first line keeps its indentation
    if body[indented:].strip():
        yield Section(body[indented:], tuple(heading.title for heading in path), None, start + indented)


def _span(heading: Heading) -> tuple[int, int, int]:
    return heading.level, heading.start, heading.end
