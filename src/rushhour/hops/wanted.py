"""What kind of thing a question asks for, and whether a sentence has one: a time, a number, a name, a definition."""

from __future__ import annotations

import re
from typing import Final

_NUMBER_WORDS: Final = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|twenty|thirty|forty|fifty|hundreds?"
    r"|thousands?|millions?|billions?|half|third|quarter|once|twice|none|no one"
)
_TIME: Final = re.compile(
    r"\b(?:1\d{3}|20\d{2}|\d{1,2}:\d{2}|\d{1,4}s|\d{1,2}(?:st|nd|rd|th)|centur(?:y|ies)|BC|AD|today|yesterday|now"
    r"|January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|spring|summer|autumn|winter"
    r"|second|minute|hour|day|night|week|month|year|decade)s?\b"
)
_NUMBER: Final = re.compile(rf"\d|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
_NAME: Final = re.compile(r"(?<=[\w,;:'’\"“(] )[\"“(]?[A-Z][\w.’'-]+|\A[A-Z]\w+ [A-Z]\w+")
_PLACE: Final = re.compile(
    r"\b(?:in|at|on|near|from|to|of|between|along|across)\s+(?:the\s+)?[A-Z]\w+|\b(?:under|inside)\b"
)
_CAUSE: Final = re.compile(
    r"\b(?:because|since|due to|caused?|causes|reasons?|so that|in order to|therefore|thus|result(?:s|ed|ing)?|leads?"
    r"|led|to avoid|owing to|as a consequence)\b",
    re.IGNORECASE,
)
_DEFINES: Final = re.compile(
    r"\b(?:is|are|was|were|means?|refers? to|stands? for|denotes?|consists? of|defined as|known as|called)\b"
)

_KINDS: Final = tuple(
    (re.compile(asked, re.IGNORECASE), has)
    for asked, has in (
        (r"\bwhen\b|\bhow long\b|\b(?:what|which)\s+(?:year|date|day|month|decade|century|time|season)\b", _TIME),
        (r"\bhow\s+(?:many|much|old|tall|high|far|big|large|fast|often|heavy|deep|wide|few)\b", _NUMBER),
        (r"\bwhat\s+(?:percent|percentage|number|amount|fraction|size|proportion)\b", _NUMBER),
        (r"\bwho(?:m|se)?\b|\bwhat\s+(?:\w+\s+)?(?:name|person|player|team|company|group|people)\b|\bwhich\b", _NAME),
        (r"\bwhere\b|\b(?:what|which)\s+(?:city|country|place|state|region|location|town|area)\b", _PLACE),
        (r"\bwhy\b|\bwhat\s+(?:causes?|caused|reason)\b|\bfor what reason\b", _CAUSE),
        (
            r"^\s*(?:what|who)\s+(?:is|are|was|were)\s+(?:an?\s+|the\s+)?[\w-]+(?:\s+[\w-]+)?\s*\??\s*$|\bdefin",
            _DEFINES,
        ),
    )
)


class Wanted:
    """What a question asks for; `share` says how much of that a sentence has."""

    def __init__(self, question: str) -> None:
        self._signs = [sign for asked, sign in _KINDS if asked.search(question)]

    def share(self, sentence: str) -> float:
        """Return the share of the kinds of thing wanted that a sentence has, in [0, 1]; 0 if no kind is wanted."""
        return sum(sign.search(sentence) is not None for sign in self._signs) / max(len(self._signs), 1)
