"""Markdown: `#` and underlined headings outside code fences, and the title of a front matter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import NO_HEADING, Document, Heading, sections_between, titled

_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(?P<fields>.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE_FIELD: Final = re.compile(r"^title:[ \t]{0,20}(?P<title>\S.{0,500}?)[ \t]{0,20}$", re.MULTILINE)
_LONGEST: Final = 1_000
"""Characters of a line that may be a heading; longer ones would keep the expressions below busy for ever."""
_FENCE: Final = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")
_HASHES: Final = re.compile(r" {0,3}(?P<marks>#{1,6})(?:[ \t]+(?P<title>.*?))??(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE: Final = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_NO_PARAGRAPH: Final = re.compile(r"\s*$|\s*(?:[-*+>|]|\d+[.)])(?:\s|$)| {4}|\t")
_MARKS: Final = re.compile(r"(?P<marks>\*{1,3}|_{1,3}|`+)(?P<inner>.+?)(?P=marks)|!?\[(?P<label>[^\]]*)\]\([^)]*\)")


def parse_markdown(name: str, content: bytes) -> Document:
    """Parse Markdown (CommonMark's headings); its text stays as it is written."""
    text = decode(name, content)
    front = _FRONT_MATTER.match(text)
    headings = list(_headings(text, front.end() if front else 0))
    field = _TITLE_FIELD.search(front["fields"]) if front else None
    if field is not None:
        title = field["title"].strip("\"'")
    else:
        title, headings = _titled(headings, name)
    if front:
        headings.insert(0, Heading("", NO_HEADING, 0, front.end()))
    return Document(title, text, tuple(sections_between(text, headings)), "markdown")


def _titled(headings: list[Heading], name: str) -> tuple[str, list[Heading]]:
    title, rest = titled(headings, name)
    return title, list(rest)


def _headings(text: str, start: int) -> Iterator[Heading]:
    fence = ""
    paragraph = ""  # the line before, if a heading's underline may follow it
    paragraph_start = position = start
    for line in text[start:].splitlines(keepends=True):
        bare = line.rstrip("\n")
        end = position + len(bare)
        if fence:
            closing = bare.strip()
            if closing.startswith(fence) and not closing.strip(fence[0]):
                fence = ""
        elif len(bare) > _LONGEST:
            paragraph = ""
        elif opening := _FENCE.match(bare):
            fence, paragraph = opening["fence"], ""
        elif hashes := _HASHES.match(bare):
            yield Heading(_shown(hashes["title"] or ""), len(hashes["marks"]), position, end)
            paragraph = ""
        elif paragraph and _UNDERLINE.match(bare):
            yield Heading(_shown(paragraph), 1 if "=" in bare else 2, paragraph_start, end)
            paragraph = ""
        else:
            starts = not paragraph and not _NO_PARAGRAPH.match(bare)
            paragraph, paragraph_start = (bare.strip() if starts else "", position)
        position += len(line)


def _shown(title: str) -> str:
    """Return a heading as a reader sees it, without emphasis and link targets."""
    return _MARKS.sub(lambda found: found["inner"] or found["label"] or "", title).strip()
