"""A stand-in for a tokenizer: four characters a token, and answers cut where a tokenizer would cut them."""

from __future__ import annotations

import math
import re

CHARACTERS_PER_TOKEN = 4
_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")


def count(characters: int) -> int:
    """Estimate the tokens of a text from its length; a text that is not empty has at least one."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def pieces(text: str) -> list[str]:
    """Cut an answer into the pieces that a stream delivers; joined, they are the text again."""
    return _PIECE.findall(text)
