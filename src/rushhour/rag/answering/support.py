"""Which sentence of a passage supports a statement: the one that shares most of its words.

Whatever the words, a place is returned: where nothing is shared, as in a translation, it is the whole passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

from rushhour.hops.sentences import ends
from rushhour.rag.answering.telling import telling
from rushhour.rag.contract import Place

_FENCED: Final = re.compile(r"^(```|~~~).*?(?:^\1|\Z)", re.DOTALL | re.MULTILINE)
_BREAK: Final = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[*+\-•]|\d{1,3}[.)])\s)")
_ADDS: Final = 0.25
"""Share of the statement's words that the next sentence must add to be part of the place."""


@lru_cache(maxsize=1024)
def support(statement: str, text: str) -> Place:
    """Return the sentence of a text that supports a statement, or two neighbours where both are needed.

    Kept, for in a rush many are told the same.
    """
    wanted = telling(statement)
    known = _sentences(text)
    shared = [wanted & words_of for _, words_of in known]
    most = max(map(len, shared), default=0)
    if not most:
        return _whole(text)
    best = min((n for n, share in enumerate(shared) if len(share) == most), key=lambda n: known[n][0].length)
    first = last = best
    if beside := [n for n in (best + 1, best - 1) if 0 <= n < len(shared)]:
        other = max(beside, key=lambda n: len(shared[n] - shared[best]))
        if len(shared[other] - shared[best]) >= max(_ADDS * len(wanted), 1):
            first, last = sorted((best, other))
    return Place(known[first][0].start, known[last][0].end)


def places(text: str) -> Iterator[Place]:
    """Yield where the sentences of a text stand; code between fences is one place, and so is an item of a list."""
    begin = 0
    for fenced in _FENCED.finditer(text) if "```" in text or "~~~" in text else ():
        yield from _prose(text, begin, fenced.start())
        yield Place(*fenced.span())
        begin = fenced.end()
    yield from _prose(text, begin, len(text))


def _prose(text: str, begin: int, end: int) -> Iterator[Place]:
    breaks = [one.span() for one in _BREAK.finditer(text, begin, end)]
    for (_, start), (stop, _) in pairwise(((begin, begin), *breaks, (end, end))):
        block = text[start:stop]
        for since, until in pairwise((0, *ends(block), len(block))):
            one = block[since:until]
            if one.strip():
                yield Place(start + since + len(one) - len(one.lstrip()), start + since + len(one.rstrip()))


@lru_cache(maxsize=1024)
def _sentences(text: str) -> tuple[tuple[Place, frozenset[str]], ...]:
    """Take a passage apart; what is asked about now is cited again and again."""
    return tuple((place, telling(text[place.start : place.end])) for place in places(text))


def _whole(text: str) -> Place:
    start = len(text) - len(text.lstrip())
    return Place(start, max(start, len(text.rstrip())))
