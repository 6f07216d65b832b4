"""The sentences of a passage, fit to be quoted: no code, no grammar, no headings, no hard line ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

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
_REFERENCE = re.compile(r"(?:^|\s+|(?<=[.,;:!?\"”)]))\[\d{1,3}\](?!\w)")
_CITES = re.compile(r"\[\d+\]")
_FENCES = ("```", "~~~")
_MIN_WORDS = 4


def sentences(text: str) -> list[str]:
    """Return the whole sentences of a text in order, each on one line.

    What is left out: sentences whose beginning or end the chunker cut off, code, grammar, tables, headings, and
    numbered references such as [3], which would be taken for citations.
    """
    found = [sentence for block in _blocks(text) for sentence in _split(block) if _is_prose(sentence)]
    if found and found[0][0].islower() and text.lstrip().startswith(found[0].split(" ", 1)[0]):
        del found[0]  # the end of a sentence that began in the chunk before
    return found


def _blocks(text: str) -> Iterator[str]:
    """Yield paragraphs and list items, unwrapped."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(_FENCES):
            fenced = not fenced
            line = ""
        if fenced or _is_rule(line):
            lines = []  # what stands over a rule is a heading
            continue
        if not line or line[0] == "#" or "::=" in line or _is_table(line):
            yield _unwrapped(lines)
            lines = []
            continue
        if not line[0].isalpha() and (item := _LIST_ITEM.match(line)):
            yield _unwrapped(lines)
            lines = []
            line = line[item.end() :]
        lines.append(line)
    yield _unwrapped(lines)


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
    ends = [one.end() for one in _BOUNDARY.finditer(block) if not _abbreviates(block, one.start())]
    for start, end in pairwise((0, *ends, len(block))):
        yield block[start:end].rstrip()


def _abbreviates(block: str, stop: int) -> bool:
    return _ABBREVIATION.search(block, max(0, stop - 8), stop + 1) is not None


def _is_prose(sentence: str) -> bool:
    if not _ENDED.search(sentence, max(0, len(sentence) - 8)):
        return False
    found = sentence.lower().split()
    if len(found) < _MIN_WORDS or STOP_WORDS.isdisjoint(found):
        return False
    return len(_CODE_SIGN.findall(sentence)) * 4 <= len(found) and not _CITES.search(sentence)
