"""Words of a text, reduced so that `evaluates`, `evaluated` and `evaluation` meet."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")

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


def _without_doubling(root: str) -> str:
    """Undo the doubling of a consonant, so that `running` and `run` meet."""
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiouls"
    return root[:-1] if doubled else root
