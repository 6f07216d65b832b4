"""What a reader sees of a text: characters that show nothing, but that a model reads, are taken out.

Instructions are hidden in documents with them: between the letters of a word, as Unicode tags that mirror ASCII, or in
text whose direction is turned round.
"""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f"  # controls, but for tab, line feed and next line
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = re.compile(
    "(?<=[\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f])|\\A[\u200c\u200d]+|[\u200c\u200d]+\\Z"
)
"""Letters' business in Persian or Hindi; beside ASCII, and at either end, they join nothing."""


def visible(text: str) -> str:
    """Return the text without its invisible characters; line ends become line feeds, and so do page ends."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _INVISIBLE.sub(_instead, text)
    if "\u200c" in text or "\u200d" in text:
        text = _JOINERS.sub("", text)
    return text


def _instead(hidden: re.Match[str]) -> str:
    """Keep words apart that a form feed or another of the controls that are white space stands between."""
    return "\n" if hidden[0].isspace() else ""
