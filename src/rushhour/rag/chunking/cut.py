"""Cutting a text that is too long for a chunk: by its structure, in time that grows with its length and no faster."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, TypeAlias

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from rushhour.rag.chunking.code_blocks import code_blocks
from rushhour.rag.tokens import CountTokens

Span: TypeAlias = tuple[int, int]
Splitter: TypeAlias = MarkdownSplitter | TextSplitter

_SLACK: Final = 1.15
_WINDOW: Final = 10
"""Capacities that the splitter sees at a time: what it has to look at for each chunk grows with what it sees."""
_AHEAD: Final = 2
"""Capacities before the end of a window in which a chunk may be another than it would be in the whole text."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text, and how many tokens it has."""

    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Room:
    """What a part may have: `tokens` as `count` counts them, of which `overlap` are kept free for the part before."""

    tokens: int
    overlap: int
    count: CountTokens


def cut(text: str, tokens: int, room: Room, markup: str) -> Iterator[Part]:
    """Yield parts of `text`, which has `tokens`, that fit the room and are about equally long, the gaps between blank.

    Cuts are made between blocks, else paragraphs, lines, sentences, words (semantic-text-splitter). A code block of
    Markdown that fits stays whole; one that does not is cut between its lines.

    The splitter measures in characters, at the rate of this text: a tokenizer call for each candidate would take
    longer than embedding the result. A part so dense that it does not fit is cut again at its own rate.
    """
    most = room.tokens - room.overlap
    capacity = max(1, int(len(text) * min(most, tokens / ceil(tokens / most) * _SLACK) / tokens))
    for start, end, kind in _Cutter(text, capacity, room).spans(markup):
        body = text[start:end].rstrip().lstrip("\n")
        if not body.strip():
            continue
        start += text[start:end].index(body)
        size = room.count(body)
        if size <= room.tokens or len(body) == 1:
            yield Part(start, start + len(body), size)
            continue
        for inner in cut(body, size, room, kind):
            yield Part(start + inner.start, start + inner.end, inner.tokens)


class _Cutter:
    """Cuts one text into spans of at most `capacity` characters, code blocks aside, that leave nothing out."""

    def __init__(self, text: str, capacity: int, room: Room) -> None:
        self._text = text
        self._capacity = capacity
        self._room = room
        self._lines = TextSplitter(capacity, trim=False)
        self._markdown = MarkdownSplitter(capacity, trim=False)

    def spans(self, markup: str) -> Iterator[tuple[int, int, str]]:
        """Yield where each span starts and ends, and the markup by which it may be cut again."""
        done = 0
        if markup == "markdown":
            whole: list[Span] = []
            for block in code_blocks(self._text):
                if self._fits(*block):
                    whole.append(block)
                    continue
                yield from ((*span, markup) for span in self._prose(done, block[0], whole))
                yield from ((*span, "plain") for span in self._windows(*block, self._lines))
                done, whole = block[1], []
            yield from ((*span, markup) for span in self._prose(done, len(self._text), whole))
        else:
            yield from ((*span, markup) for span in self._windows(0, len(self._text), self._lines))

    def _prose(self, start: int, end: int, whole: Sequence[Span]) -> Iterator[Span]:
        """Yield spans of Markdown; where one would end within a block that is to stay whole, the splitter starts anew.

        The block joins what is before it if both fit, else it begins the next span. So does it where a span would end
        within a line: of what Markdown has there, an apostrophe or a link, the splitter thinks more than of a sentence.
        """
        ends = [block[1] for block in whole]
        while start < end:
            for _, stop in self._windows(start, end, self._markdown):
                place = bisect_left(ends, stop)
                if place < len(whole) and whole[place][0] < stop < whole[place][1]:
                    block_start, block_end = whole[place]
                    stop = block_end if block_start <= start or self._fits(start, block_end) else block_start
                    yield start, stop
                    start = stop
                    break
                if stop < end and "\n" not in self._text[stop - 1 : stop + 1]:
                    spans = self._through_line(start, stop, end)
                    yield from spans
                    start = spans[-1][1]
                    break
                yield start, stop
                start = stop

    def _through_line(self, start: int, stop: int, end: int) -> list[Span]:
        """Return spans as of plain text, as far as the line goes that `stop` is in; its rest may join what follows."""
        line_end = self._text.find("\n", stop, end) + 1 or end
        spans = list(self._windows(start, line_end, self._lines))
        return spans[:-1] if len(spans) > 1 and line_end < end else spans

    def _windows(self, start: int, end: int, splitter: Splitter) -> Iterator[Span]:
        """Yield spans as the splitter cuts the whole, though it sees only a window at a time."""
        while start < end:
            stop = min(end, start + _WINDOW * self._capacity)
            spans = [
                (start + at, start + at + len(part)) for at, part in splitter.chunk_indices(self._text[start:stop])
            ]
            sure = stop if stop == end else stop - _AHEAD * self._capacity
            for span in spans:
                if span[0] >= sure:
                    break
                yield span
                start = span[1]

    def _fits(self, start: int, end: int) -> bool:
        return self._room.count(self._text[start:end]) <= self._room.tokens
