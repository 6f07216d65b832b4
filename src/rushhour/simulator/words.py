"""Words as a search engine sees them: lower case, without endings, the common ones known."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"\w+")

_COMMON = """
a about above after again against all also am an and any are as at be because been before being below between both
but by can cannot could did do does doing done down during each either else etc ever every few for from further get
had has have having he her here hers him his how however i if in into is it its itself just let like many may me
might more most much must my need no nor not now of off on once one only or other our ours out over own per please
same say says she should since so some such than that the their theirs them then there these they this those through
thus to too under until up upon us use used uses using very via was we were what when where whether which while who
whom whose why will with within without would you your yours
"""
STOP_WORDS = frozenset(_COMMON.split())


@lru_cache(65_536)
def stem(word: str) -> str:
    """Take off the endings that grammar puts on, roughly: `raises`, `raised` and `raising` are one word."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 5 and word.endswith("ing"):
        word = word[:-3]
    elif len(word) > 4 and word.endswith("ed"):
        word = word[:-2]
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return word


def content_words(text: str) -> frozenset[str]:
    """Return the stems of a text's words that carry meaning."""
    return frozenset(stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS)
