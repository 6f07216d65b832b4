"""Whether passages hold an answer, whatever its case, punctuation and articles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_ARTICLES: Final = frozenset(("a", "an", "the"))
_WORD: Final = re.compile(r"\w+")


def contains(texts: Iterable[str], answers: Sequence[str]) -> bool:
    """Whether one of the answers stands, word by word, in one of the texts.

    Both are compared in the manner of SQuAD (Rajpurkar et al. 2016): without case, punctuation and articles.
    An answer that is nothing but those is looked for as it is written.
    """
    wanted = [normalised(answer) for answer in answers]
    written = [answer for answer, words in zip(answers, wanted, strict=True) if not words]
    padded = [f" {words} " for words in wanted if words]
    for text in texts:
        words = f" {normalised(text)} "
        if any(answer in words for answer in padded) or any(answer in text for answer in written):
            return True
    return False


def normalised(text: str) -> str:
    """Return the words of a text, in lower case and one form of Unicode, without articles, separated by spaces."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(word for word in words if word not in _ARTICLES)
