"""Citations that can be trusted: every `[n]` that leaves as a citation names a passage that was provided.

Text arrives in pieces that may end in the middle of a marker, so a few characters are held back until it is clear
what they are. A marker that names no passage is dropped. Brackets in code (`argv[0]`, or between backticks) are not
markers. Each citation also says which sentence of the passage supports what was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from rushhour.hops.contract import Passage
from rushhour.hops.sentences import ends
from rushhour.rag.answering.support import support
from rushhour.rag.contract import Citation

_MARKER = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_UNFINISHED = re.compile(r"\s?\[[\d\s,]{0,40}$")
_LONGEST = 42
_LONGEST_MARKER = len("[999]")
_LAST_MARKER = re.compile(r"\[\d{1,3}\]$")
_MARKER_OR_PARAGRAPH = re.compile(r"\[\d{1,3}\]|\n\s*\n")
_ENOUGH_WORDS = 3
_STATEMENT = 1000
"""Characters before a marker in which the statement is looked for."""


class _Marked(msgspec.Struct, frozen=True):
    """Where in the text a passage is cited."""

    number: int
    start: int
    end: int


class CitationChecker:
    """Feed it the pieces of an answer; it returns what may leave, and knows the citations at the end."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = {passage.number: passage for passage in passages}
        self._held = ""
        self._text: list[str] = []
        self._length = 0
        self._last = ""
        self._in_code = False
        self._after_marker = False
        self._marked: list[_Marked] = []
        self.invalid = 0

    @property
    def text(self) -> str:
        """All that has left so far."""
        return "".join(self._text)

    def feed(self, piece: str) -> str:
        """Take a piece in; return the text that is certain."""
        self._held += piece
        unfinished = _UNFINISHED.search(self._held, max(0, len(self._held) - _LONGEST))
        certain = unfinished.start() if unfinished else len(self._held)
        ready, self._held = self._held[:certain], self._held[certain:]
        return self._check(ready)

    def finish(self) -> str:
        """Return what was held back, now that nothing follows."""
        ready, self._held = self._held, ""
        return self._check(ready) if ready else ""

    def citations(self) -> tuple[Citation, ...]:
        """Return every checked citation in the order of the text."""
        text = self.text
        return tuple(self._citation(text, marked) for marked in self._marked)

    def _citation(self, text: str, marked: _Marked) -> Citation:
        passage = self._passages[marked.number]
        where = support(_statement(text, marked), passage.text)
        return Citation(marked.number, marked.start, marked.end, passage, where)

    def _check(self, text: str) -> str:
        out: list[str] = []
        begin = 0
        for marker in _MARKER.finditer(text):
            self._pass(text[begin : marker.start()], out)
            begin = marker.end()
            if self._is_text(marker):
                self._pass(marker.group(), out)
            else:
                self._cite(marker, out)
        self._pass(text[begin:], out)
        passed = "".join(out)
        self._text.append(passed)
        return passed

    def _pass(self, text: str, out: list[str]) -> None:
        if not text:
            return
        if text.count("`") % 2:
            self._in_code = not self._in_code
        out.append(text)
        self._length += len(text)
        self._last = text[-1]
        self._after_marker = False

    def _is_text(self, marker: re.Match[str]) -> bool:
        """Tell code from a citation: `argv[0]` names no passage, but `the statement[1]` may."""
        if self._in_code:
            return True
        glued = not self._after_marker and (self._last.isalnum() or self._last in ("_", "]"))
        return glued and not any(int(number) in self._passages for number in marker.group(1).split(","))

    def _cite(self, marker: re.Match[str], out: list[str]) -> None:
        numbers = [int(number) for number in marker.group(1).split(",")]
        known = [number for number in numbers if number in self._passages]
        self.invalid += len(numbers) - len(known)
        for number in known:
            mark = f"[{number}]"
            self._marked.append(_Marked(number, self._length, self._length + len(mark)))
            out.append(mark)
            self._length += len(mark)
            self._last = "]"
        self._after_marker = True


def _statement(text: str, marked: _Marked) -> str:
    """Return the sentence that a marker stands at the end of; markers beside it belong to the same one.

    Where next to nothing stands before the marker, as in "According to [1], …", it is what follows.
    """
    said = _MARKER_OR_PARAGRAPH.split(_before_group(text[max(0, marked.start - _STATEMENT) : marked.start]))[-1]
    said = said[max((0, *ends(said))) :]
    if len(said.split()) >= _ENOUGH_WORDS:
        return said
    after = text[marked.end : marked.end + _STATEMENT]
    after = after[: min((len(after), *ends(after)))]
    return f"{said} {_MARKER_OR_PARAGRAPH.split(after)[0]}"


def _before_group(text: str) -> str:
    """Return what stands before the markers at the end of a text."""
    text = text.rstrip()
    while text.endswith("]") and (marker := _LAST_MARKER.search(text, max(0, len(text) - _LONGEST_MARKER))):
        text = text[: marker.start()].rstrip()
    return text
