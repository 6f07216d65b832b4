"""How relevant a text is to a query, from the words that they share: what a simulated reranker knows.

Deterministic, between 0 and 1. The share of the query's meaning-bearing words that the text has counts most, a word
the more the fewer of the texts have it; then the share of the query's neighbouring words that are neighbours in the
text too; then how much of the text is about them.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rushhour.simulator.lru import LeastRecentlyUsed
from rushhour.simulator.words import STOP_WORDS, WORD, stem

_TEXTS_A_TURN = 16
_CACHED_TEXTS = 16_384
_STEEPNESS = 9.0
_MIDDLE = 0.45


@dataclass(frozen=True, slots=True)
class _Text:
    """The meaning-bearing words of a text, and which two follow each other."""

    words: Counter[str]
    pairs: frozenset[tuple[str, str]]
    length: int


class Relevance:
    """Scores texts; remembers the words of those it saw lately."""

    def __init__(self) -> None:
        self._texts: LeastRecentlyUsed[str, _Text] = LeastRecentlyUsed(_CACHED_TEXTS)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return one score a text, in their order; other work gets its turn between them."""
        asked = self._read(query)
        read: list[_Text] = []
        for number, text in enumerate(texts, 1):
            if number % _TEXTS_A_TURN == 0:
                await asyncio.sleep(0)  # a long list must not hold up the other callers
            read.append(self._read(text))
        weights = _weights(asked.words, read)
        return [_score(asked, weights, text) for text in read]

    def _read(self, text: str) -> _Text:
        known = self._texts.get(text)
        if known is None:
            words = [stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS]
            known = _Text(Counter(words), frozenset(pairwise(words)), len(words))
            self._texts.put(text, known)
        return known


def _weights(words: Iterable[str], texts: Sequence[_Text]) -> dict[str, float]:
    """Weigh words as BM25 does (Robertson and Zaragoza 2009): the rarer among the texts, the more."""
    weights: dict[str, float] = {}
    for word in words:
        found = sum(word in text.words for text in texts)
        weights[word] = math.log(1.0 + (len(texts) - found + 0.5) / (found + 0.5))
    return weights


def _score(asked: _Text, weights: dict[str, float], text: _Text) -> float:
    total = sum(weights.values())
    if not total or not text.length:
        return _logistic(0.0)
    covered = sum(weight for word, weight in weights.items() if word in text.words) / total
    together = len(asked.pairs & text.pairs) / len(asked.pairs) if asked.pairs else covered
    density = sum(text.words[word] for word in weights) / text.length
    return _logistic(0.75 * covered + 0.2 * together + 0.05 * density)


def _logistic(strength: float) -> float:
    """Spread a strength between 0 and 1 as rerankers do: most of what matters happens in the middle."""
    return round(1.0 / (1.0 + math.exp(_STEEPNESS * (_MIDDLE - strength))), 8)
