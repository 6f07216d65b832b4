"""Cutting documents into passages: by structure first, by size only where structure leaves too much."""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from rushhour.catalog.contract import Chunk
from rushhour.rag.chunking.cut import Room, cut
from rushhour.rag.parse import HEADING_SEPARATOR, Document, Section
from rushhour.rag.tokens import CountTokens, about_four_characters

VERSION: Final = 4
"""Grows whenever the same document would be cut otherwise: then files are ingested anew."""

_ASCII: Final = string.punctuation.replace("%", "") + " "
_SMALL: Final = 4
_SENTENCE: Final = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n[ \t]*\n+")
_LINE: Final = re.compile(r"\n")
_WORD: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut: `size` and `overlap` are in tokens, counted by `count`, which `counter` names.

    `size` bounds a chunk with the title and headings that are embedded with it.
    """

    size: int = 300
    overlap: int = 40
    count: CountTokens = about_four_characters
    counter: str = "characters/4"

    def __str__(self) -> str:
        return f"v{VERSION} size={self.size} overlap={self.overlap} counter={self.counter}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage: `text` is `document.text[start:end]`, `heading` its path, `page` where it begins."""

    text: str
    heading: str
    page: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring sections that are cut as one text."""

    sections: tuple[Section, ...]
    tokens: int

    @property
    def start(self) -> int:
        return self.sections[0].start

    @property
    def end(self) -> int:
        return self.sections[-1].end

    def headings(self) -> tuple[str, ...]:
        """Return what the headings of all its sections have in common, from the outermost on."""
        first, *others = (section.headings for section in self.sections)
        same = 0
        while same < len(first) and all(other[same : same + 1] == first[same : same + 1] for other in others):
            same += 1
        return first[:same]

    def pages(self) -> Callable[[int], int | None]:
        """Return what tells on which page a character lies."""
        starts = [section.start for section in self.sections]
        return lambda position: self.sections[max(0, bisect_right(starts, position) - 1)].page


def chunk(document: Document, chunking: Chunking = Chunking()) -> list[Piece]:
    """Cut a document into passages of at most `chunking.size` tokens.

    A section is one chunk if it fits; a short one joins the next, with its heading inside the text. Longer ones are
    cut between paragraphs, else sentences, else words (semantic-text-splitter), and each part begins with the last
    sentences of the part before.
    """
    pieces = []
    for group in _groups(document, chunking):
        headings = group.headings()
        again = headings[:1] == (document.title,)  # many repeat the title of their front matter as a heading
        heading = HEADING_SEPARATOR.join(headings[again:])
        page_at = group.pages()
        for start, end in _ranges(document, group, heading, chunking):
            pieces.append(Piece(document.text[start:end], heading, page_at(start), start, end))
    return pieces


def embedding_text(chunk: Chunk) -> str:
    """Return what is embedded for a chunk: its title and headings, then its text."""
    return f"{_prefix(chunk.title, chunk.heading)}{chunk.text}"


def identified(
    collection: str,
    file: str,
    title: str,
    source: str,
    pieces: Sequence[Piece],
    metadata: Mapping[str, Any] | None = None,
) -> list[Chunk]:
    """Give pieces of a file their stable ids: `{collection}/{file}/{sha256(text)[:16]}-{n}`.

    `n` counts equal texts within the file, so what is inserted elsewhere changes no id. Ids are ASCII, as vector
    stores demand: other characters of a file's name are percent-encoded.
    """
    seen: Counter[str] = Counter()
    chunks = []
    for position, piece in enumerate(pieces):
        digest = sha256(piece.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        chunks.append(
            Chunk(
                id=f"{collection}/{quote(file, safe=_ASCII)}/{digest}-{seen[digest]}",
                file=file,
                position=position,
                text=piece.text,
                title=title,
                heading=piece.heading,
                page=piece.page,
                start=piece.start,
                end=piece.end,
                source=source,
                metadata=metadata or {},
            )
        )
        seen[digest] += 1
    return chunks


def _prefix(title: str, heading: str) -> str:
    above = "\n".join(line for line in (title, heading) if line)
    return f"{above}\n\n" if above else ""


def _groups(document: Document, chunking: Chunking) -> Iterator[_Group]:
    """Yield sections to cut together: pages of one text, and short sections with what follows them."""
    gathered: list[Section] = []
    tokens = 0
    for section in document.sections:
        more = chunking.count(section.text)
        if gathered:
            goes_on = section.headings == gathered[-1].headings
            joins = tokens < chunking.size / _SMALL and tokens + more <= chunking.size
            if not goes_on and not joins:
                yield _Group(tuple(gathered), tokens)
                gathered, tokens = [], 0
        gathered.append(section)
        tokens += more
    if gathered:
        yield _Group(tuple(gathered), tokens)


def _ranges(document: Document, group: _Group, heading: str, chunking: Chunking) -> Iterator[tuple[int, int]]:
    """Yield where the chunks of a group start and end in the document's text."""
    text = document.text[group.start : group.end]
    room = max(chunking.size // 2, chunking.size - chunking.count(_prefix(document.title, heading)))
    tokens = group.tokens if len(group.sections) == 1 else chunking.count(text)
    if tokens <= room:
        yield group.start, group.end
        return
    overlap = min(chunking.overlap, room // 2)
    earliest = len(text)  # nothing is before the first part
    for part in cut(text, tokens, Room(room, overlap, chunking.count), document.markup):
        begin, reach = part.start, int(min(overlap, room - part.tokens) * len(text) / tokens)
        while reach:
            begin = _reach_back(text, max(earliest, part.start - reach), part.start)
            if begin == part.start or chunking.count(text[begin : part.end]) <= room:
                break
            begin, reach = part.start, reach // 2  # the text is denser there than it is on average
        yield group.start + begin, group.start + part.end
        earliest = part.start + 1


def _reach_back(text: str, earliest: int, start: int) -> int:
    """Return the first place from `earliest` to `start` where a sentence begins, else a line, else a word."""
    fence = max(text.rfind("\n```", earliest, start), text.rfind("\n~~~", earliest, start))
    if fence >= 0:  # half a code block is worse than less overlap
        earliest = text.find("\n", fence + 1) + 1 or start
    for boundary in (_SENTENCE, _LINE, _WORD):
        if found := boundary.search(text, earliest, start):
            return found.end()
    return start
