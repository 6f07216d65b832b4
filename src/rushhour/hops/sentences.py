"""The sentences of a passage, fit to be quoted: no code, no grammar, no headings, no hard line ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile

from rushhour.hops.visible import visible
from rushhour.hops.words import STOP_WORDS

_LIST_ITEM = re.compile(r"(?:[*+\-•‣–]|\(?\d{1,3}[.)])\s+(?=\S)")
_BOUNDARY = re.compile(r"[.!?…][\"'”’»)\]*]*\s+(?=[\"'“‘«(\[*]*[A-Z0-9_])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|resp|approx|ca|al|fig|figs|sec|eq|no|vol|pp|ed|dr|mr|mrs|ms|prof|st|jr|sr|inc|ltd|co"
    r"|u\.s|u\.k|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|\b[A-Z])\.$",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?][\"'”’»)\]*]*$")
_CODE_SIGN = re.compile(r">>>|[=;{}|\\<>]|\w\(|\$ ")
_REFERENCE = re.compile(r"(?:^|\s+|(?<=[.,;:!?\"”)]))\[\d{1,3}(?:\s?,\s?\d{1,3})*\](?!\w)")
_CITES = re.compile(r"\[\d[\d\s,]*\]")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FENCES = ("```", "~~~")
_MIN_WORDS = 4
_LONGEST_CODE = 120
_LONGEST_LIST = 300


def sentences(text: str) -> list[str]:
    """Return the whole sentences of a text in order, each on one line.

    An item of a list counts as one, and so does a line that ends in a colon with the short list or code it announces.
    What is left out: sentences whose beginning or end the chunker cut off, other code, grammar, tables, headings, and
    numbered references such as [3], which would be taken for citations. So is what no reader sees: comments in markup,
    and characters without a shape.
    """
    text = _COMMENT.sub(" ", visible(text))
    found = [
        sentence
        for block in _announced(list(_blocks(text)))
        for sentence in ((block.text,) if block.single else _split(block.text))
        if _is_prose(sentence, whole=block.whole)
    ]
    if found and found[0][0].islower() and text.lstrip().startswith(found[0].split(" ", 1)[0]):
        del found[0]  # the end of a sentence that began in the chunk before
    return found


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, an item of a list (without its `mark`), or code.

    One that is `whole` needs no full stop, and one that is `single` is not split into sentences.
    """

    text: str
    mark: str = ""
    code: bool = False
    whole: bool = False
    single: bool = False


def _blocks(text: str) -> Iterator[_Block]:
    """Yield paragraphs, list items and code, unwrapped."""
    gathered = _Gathered()
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(_FENCES):
            yield gathered.fence()
        elif gathered.code:
            gathered.lines.append(stripped)
        elif _is_rule(stripped):
            gathered.forget()  # what stands over a rule is a heading
        elif not stripped or stripped[0] == "#" or "::=" in stripped or _is_table(stripped):
            yield gathered.end()
        elif not stripped[0].isalpha() and (item := _LIST_ITEM.match(stripped)):
            yield gathered.end()
            gathered.mark = item.group().strip()
            gathered.lines.append(stripped[item.end() :])
        else:
            gathered.lines.append(stripped)
    yield gathered.end(cut=True)


class _Gathered:
    """The lines of the block that is being read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.mark = ""
        self.code = False

    def end(self, *, cut: bool = False) -> _Block:
        """Return the block; where the text ends within it, `cut` says that more may have followed."""
        code, mark = self.code and not cut, self.mark
        text = _Gathered.code_text(self.lines) if code else "" if self.code else _unwrapped(self.lines)
        self.forget()
        return _Block(text, mark, code, whole=bool(mark) and not (cut and not _ENDED.search(text)))

    def fence(self) -> _Block:
        """Return what stood before a fence: the block, or the code that it closes."""
        opens = not self.code
        block = self.end()
        self.code = opens
        return block

    def forget(self) -> None:
        """Begin anew."""
        self.lines, self.mark, self.code = [], "", False

    @staticmethod
    def code_text(lines: list[str]) -> str:
        """Return short code on one line, in backticks; none where it is longer."""
        told = [line for line in lines if line]
        short = len(told) == 1 and len(told[0]) <= _LONGEST_CODE and "`" not in told[0]
        return f"`{told[0]}`" if short else ""


def _announced(blocks: list[_Block]) -> Iterator[_Block]:
    """Join a line that ends in a colon to the code or the short list after it."""
    blocks = [block for block in blocks if block.text]
    place = 0
    while place < len(blocks):
        block = blocks[place]
        place += 1
        if not block.text.endswith(":") or place == len(blocks) or block.code:
            if not block.code:
                yield block
            continue
        after = 1 if blocks[place].code else _list_length(blocks[place:])
        announced = " ".join(f"{one.mark} {one.text}".strip() for one in blocks[place : place + after])
        if after and len(announced) <= _LONGEST_LIST:
            *before, announcing = _split(block.text)
            yield _Block(" ".join(before))
            yield _Block(f"{announcing} {announced}", whole=True, single=True)
            place += after
        else:
            yield block


def _list_length(blocks: list[_Block]) -> int:
    """Return how many items a list has, 0 where it may be cut."""
    items = list(takewhile(lambda block: block.mark, blocks))
    return len(items) if all(item.whole for item in items) else 0


def _is_rule(line: str) -> bool:
    return len(line) >= 3 and not line[0].isalnum() and line == line[0] * len(line)


def _is_table(line: str) -> bool:
    return line[0] in "|+" and line[-1] in "|+"


def _unwrapped(lines: list[str]) -> str:
    block = " ".join(lines)
    if "[" in block:
        block = _REFERENCE.sub("", block)
    return " ".join(block.split())


def _split(block: str) -> Iterator[str]:
    if not block:
        return
    for start, end in pairwise((0, *ends(block), len(block))):
        yield block[start:end].rstrip()


def ends(text: str) -> list[int]:
    """Return where in a running text a sentence ends and another begins; abbreviations end none."""
    return [one.end() for one in _BOUNDARY.finditer(text) if not _abbreviates(text, one.start())]


def _abbreviates(block: str, stop: int) -> bool:
    return _ABBREVIATION.search(block, max(0, stop - 8), stop + 1) is not None


def _is_prose(sentence: str, *, whole: bool) -> bool:
    if not whole and not _ENDED.search(sentence, max(0, len(sentence) - 8)):
        return False
    found = sentence.lower().split()
    if len(found) < _MIN_WORDS or STOP_WORDS.isdisjoint(found):
        return False
    return len(_CODE_SIGN.findall(sentence)) * 4 <= len(found) and not _CITES.search(sentence)
