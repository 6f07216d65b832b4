"""A stretch of one document: chunks that follow each other, joined without saying anything twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from rushhour.catalog.contract import Chunk
from rushhour.hops.contract import Passage
from rushhour.rag.parse import HEADING_SEPARATOR

_MARKS = 24
"""Characters between two chunks that may be blank lines, and the marks of the heading between them."""


@dataclass(slots=True, eq=False)
class Stretch:
    """`parts` in the order of the document; `tokens` of its text; `best` is the id of the hit that scored highest."""

    parts: tuple[Chunk, ...]
    tokens: int
    score: float
    best: str

    @classmethod
    def of(cls, chunk: Chunk, tokens: int, score: float) -> Stretch:
        """Begin with one hit."""
        return cls((chunk,), tokens, score, chunk.id)

    @property
    def mapped(self) -> bool:
        """Whether its text is known to be that of its document from the first part's start to the last one's end."""
        return all(part.end - part.start == len(part.text) for part in self.parts)

    def beside(self) -> tuple[tuple[str, int], ...]:
        """Return the places (file, position) next to it, what follows first."""
        first, last = self.parts[0], self.parts[-1]
        after, before = (last.file, last.position + 1), (first.file, first.position - 1)
        return (after, before) if first.position else (after,)

    def with_part(self, neighbour: Chunk, tokens: int) -> Stretch | None:
        """Return it with one more chunk, which is no hit; None if that does not stand next to it."""
        return self.joined(Stretch.of(neighbour, tokens, -math.inf))

    def joined(self, other: Stretch) -> Stretch | None:
        """Return both as one; None if they do not follow each other. Its tokens are those of the text said once."""
        first, second = (self, other) if self.parts[0].position < other.parts[0].position else (other, self)
        if not (_follow(first.parts[-1], second.parts[0]) and first.mapped and second.mapped):
            return None
        best = max(self, other, key=lambda stretch: stretch.score)
        parts = first.parts + second.parts
        said = len(first.text()) + len(second.text())
        once = parts[-1].end - parts[0].start
        tokens = math.ceil((first.tokens + second.tokens) * once / said) if said else 0
        return Stretch(parts, tokens, best.score, best.best)

    def become(self, other: Stretch) -> None:
        """Take another's place."""
        self.parts, self.tokens, self.score, self.best = other.parts, other.tokens, other.score, other.best

    def text(self) -> str:
        """Return the document's text from the first part's start to the last one's end."""
        text, end = self.parts[0].text, self.parts[0].end
        for before, part in pairwise(self.parts):
            gap = _between(before, part) if part.start > end else ""
            text += gap + part.text[max(0, end - part.start) :]
            end = part.end
        return text

    def passage(self, number: int) -> Passage:
        """Return it as a passage: heading and page are those where it begins."""
        first = self.parts[0]
        return Passage(
            number=number,
            chunk_id=self.best,
            text=self.text(),
            title=first.title,
            source=first.source,
            heading=first.heading,
            page=first.page,
            score=self.score,
            file=first.file,
            start=first.start,
            end=self.parts[-1].end,
        )


def _follow(before: Chunk, after: Chunk) -> bool:
    """Whether the second chunk is the next of the same document, with at most a heading in between."""
    if before.file != after.file or after.position != before.position + 1:
        return False
    return before.start < after.start and before.end < after.end and after.start - before.end <= _room(after)


def _room(after: Chunk) -> int:
    return len(_heading(after)) + _MARKS


def _between(before: Chunk, after: Chunk) -> str:
    """Return what stands between two chunks: blank lines, or the heading, with blanks for its marks.

    As many characters as there are in the document, so that what follows keeps its place.
    """
    gap = after.start - before.end
    heading = _heading(after) if after.heading != before.heading else ""
    if heading and gap >= len(heading) + 3:
        return f"\n\n{heading}{' ' * (gap - len(heading) - 3)}\n"
    return ("\n" * min(gap, 2)).rjust(gap)


def _heading(chunk: Chunk) -> str:
    return chunk.heading.rpartition(HEADING_SEPARATOR)[2]
