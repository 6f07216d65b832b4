"""Words of a text, reduced so that `evaluates`, `evaluated` and `evaluation` meet, and what each of them weighs."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_NAME: Final = re.compile(r"(?<=[\w,] )(?:[A-Z]\w+|\d+)")

NAME_WEIGHT: Final = 1.5
"""So many times as much as another word of its rarity tells a name or a figure."""

_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have having
    he her here hers him his how i if in into is it its itself just let me might more most must my no nor not
    now of off on once only or other our out over own s same shall she should so some such t than that the
    their them then there these they this those through to too under until up us very was we were what when
    where which while who whom why will with would you your yours mean means tell explain describe please work
    works happen happens
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that say nothing about what a question is about."""

_ENDINGS = (
    ("ically", "ic"),
    ("ations", "at"),
    ("ation", "at"),
    ("ingly", ""),
    ("sses", "ss"),
    ("tions", "t"),
    ("sions", "s"),
    ("tion", "t"),
    ("sion", "s"),
    ("ies", "y"),
    ("ied", "y"),
    ("ing", ""),
    ("ely", ""),
    ("ed", ""),
    ("es", ""),
    ("ly", ""),
    ("s", ""),
    ("e", ""),
)


def words(text: str) -> list[str]:
    """Split a text into words in lower case, without punctuation and underscores."""
    return _WORD.findall(text.lower())


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Cut an English word's inflection off, roughly: a Porter stemmer's first steps are enough to compare by."""
    if len(word) <= 3 or word.endswith("ss"):
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(instead) >= 3:
            return _without_doubling(word[: -len(ending)] + instead)
    return word


def stems(text: str) -> list[str]:
    """Return the stems of all words of a text in order."""
    return list(map(stem, words(text)))


def names(question: str) -> frozenset[str]:
    """Return the stems of names and figures: a text that does not know them is hardly about them."""
    return frozenset(one for found in _NAME.findall(question) for one in stems(found))


def rarity(holding: int, texts: int) -> float:
    """Return what a word weighs that so many of some texts hold: the rarer, the more telling (inverse frequency)."""
    return math.log(1 + (1 + texts) / (1 + holding))


def _without_doubling(root: str) -> str:
    """Undo the doubling of a consonant, so that `running` and `run` meet."""
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiouls"
    return root[:-1] if doubled else root


STOP_STEMS: Final = frozenset(map(stem, STOP_WORDS))
