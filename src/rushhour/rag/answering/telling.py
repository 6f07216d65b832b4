"""The words of a question that say what it is about, and how much of them a text knows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

from rushhour.hops.words import STOP_WORDS, stem, words

_STOP_STEMS: Final = frozenset(map(stem, STOP_WORDS))
_NAMES: Final = re.compile(r"(?<=[\w,] )(?:[A-Z]\w+|\d+)")
_NAME_WEIGHT: Final = 1.5


@lru_cache(maxsize=2048)
def known(text: str) -> frozenset[str]:
    """Return the stems of all words of a passage, kept for the next question: what is asked about now is read again.

    Finding them takes some 80 µs, and eight kilobytes keep them. Of fewer texts than a rush asks about nothing is kept.
    """
    return _stems(text)


def telling(text: str) -> frozenset[str]:
    """Return the stems of the words that carry meaning, or of all if none does."""
    stems = _stems(text)
    return stems - _STOP_STEMS or stems


def names(question: str) -> frozenset[str]:
    """Return the stems of names and figures: a text that does not know them is hardly about them."""
    return frozenset(one for found in _NAMES.findall(question) for one in map(stem, words(found)))


def weights(question: str, texts: Sequence[Collection[str]]) -> dict[str, float]:
    """Weigh a question's telling words by how few of some texts know them: the rarer, the more telling."""
    asked, named = telling(question), names(question)
    counts = Counter(word for text in texts for word in asked if word in text)
    return {
        word: math.log(1 + (len(texts) + 1) / (1 + counts[word])) * (_NAME_WEIGHT if word in named else 1.0)
        for word in asked
    }


def coverage(weighed: Mapping[str, float], text: Collection[str]) -> float:
    """Return the share of the words' weight that a text knows, in [0, 1]."""
    total = math.fsum(weighed.values())
    return math.fsum(weight for word, weight in weighed.items() if word in text) / total if total else 0.0


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, words(text)))
