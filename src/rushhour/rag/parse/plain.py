"""Plain text, as people lay it out: a line underlined with ***, === or --- is a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import Document, Heading, sections_between, titled

# A title at the margin after a blank line (or an overline), and under it one character repeated as far at least.
_UNDERLINED: Final = re.compile(
    r"(?:\A|(?<=\n))(?:(?P<over>([=*\-~^\"'#+`])\2{2,})[ \t]*\n)?"
    r"(?P<title>[^\s].{0,199})\n(?P<under>([=*\-~^\"'#+`])\5{2,})[ \t]*(?=\n|\Z)"
)


def parse_plain(name: str, content: bytes) -> Document:
    """Parse text; the levels of headings follow the order in which kinds of underline first appear (docutils)."""
    text = decode(name, content)
    title, headings = titled(list(_headings(text)), name)
    return Document(title, text, tuple(sections_between(text, headings)))


def _headings(text: str) -> Iterator[Heading]:
    levels: dict[str, int] = {}
    for found in _UNDERLINED.finditer(text):
        title = found["title"].strip()
        if len(found["under"]) < len(title) or not _after_blank_line(text, found.start()) or _is_rule(title):
            continue
        kind = f"{(found['over'] or ' ')[0]}{found['under'][0]}"
        yield Heading(title, levels.setdefault(kind, len(levels) + 1), found.start(), found.end())


def _after_blank_line(text: str, start: int) -> bool:
    """Whether the line before the one that starts here is blank, or there is none."""
    return start == 0 or (start >= 2 and text[start - 2] == "\n")


def _is_rule(title: str) -> bool:
    return len(set(title)) == 1 and not title[0].isalnum()
