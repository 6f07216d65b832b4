"""The text of the rehearsal: Python's language reference, which every CPython carries in `pydoc_data.topics`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pydoc_data.topics import topics

_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])")
_BULLET = re.compile(r"\s*(?:[*•-]|\d+\.)\s")
_NOT_PROSE = re.compile(r"::=|>>>|^\s*[+|]|--|\S {3,}\S", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """One topic of the manual: its name, its heading, and its text as it stands."""

    name: str
    title: str
    text: str


def python_manual() -> list[Document]:
    """Return every topic with text, by name; about 465,000 characters on Python 3.11."""
    return [Document(name, _title(text), text) for name, text in sorted(topics.items()) if text.strip()]


def sentences(document: Document) -> list[str]:
    """Return the sentences of a document's prose, each on one line; code, grammar and tables are left out."""
    found: list[str] = []
    for paragraph in _BLANK_LINES.split(document.text):
        if not _NOT_PROSE.search(paragraph) and not _is_definition(paragraph):
            found += _SENTENCE_END.split(" ".join(paragraph.split()))
    return found


def _is_definition(paragraph: str) -> bool:
    """Say whether a term stands above an indented explanation: no full stop parts them, so no sentence begins."""
    first, newline, rest = paragraph.strip("\n").partition("\n")
    return bool(newline) and _indent(rest) > _indent(first) and _BULLET.match(first) is None


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _title(text: str) -> str:
    first = next(line for line in text.splitlines() if line.strip())
    return first.strip().replace('"', "")
