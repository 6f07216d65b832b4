"""The words of a question that say what it is about, and how much of them a text knows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from rushhour.hops.words import NAME_WEIGHT, STOP_STEMS, names, rarity, stems


@lru_cache(maxsize=2048)
def known(text: str) -> frozenset[str]:
    """Return the stems of all words of a passage, kept for the next question: what is asked about now is read again.

    Finding them takes some 80 µs, and eight kilobytes keep them. Of fewer texts than a rush asks about nothing is kept.
    """
    return frozenset(stems(text))


def telling(text: str) -> frozenset[str]:
    """Return the stems of the words that carry meaning, or of all if none does."""
    every = frozenset(stems(text))
    return every - STOP_STEMS or every


def weights(question: str, texts: Sequence[Collection[str]]) -> dict[str, float]:
    """Weigh a question's telling words by how few of some texts know them: the rarer, the more telling."""
    asked, named = telling(question), names(question)
    counts = Counter(word for text in texts for word in asked if word in text)
    return {word: rarity(counts[word], len(texts)) * (NAME_WEIGHT if word in named else 1.0) for word in asked}


def coverage(weighed: Mapping[str, float], text: Collection[str]) -> float:
    """Return the share of the words' weight that a text knows, in [0, 1]."""
    total = math.fsum(weighed.values())
    return math.fsum(weight for word, weight in weighed.items() if word in text) / total if total else 0.0
