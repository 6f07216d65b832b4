"""A value as people type it: a number or a truth value where it looks like one, and else a text."""

from __future__ import annotations

import json
import math
import re
from typing import Final, TypeAlias

from rushhour.errors import InvalidRequest

Scalar: TypeAlias = str | bool | int | float

_SCALAR: Final = re.compile(r"true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
LONGEST: Final = 300
"""Digits of a number: the largest float has 309."""
WHOLE: Final = 2**53
"""From here on not every whole number is a float of its own, so equal and greater would not mean what they say."""


def unquoted(text: str) -> str:
    """Return what stands in double quotes, or the text itself; without white space round it."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def scalar(text: str, what: str, param: str) -> Scalar:
    """Read a value; one in double quotes is the text between them.

    Raises InvalidRequest that begins with `what` for a number that no filter could compare.
    """
    text, quoted = text.strip(), unquoted(text)
    if quoted != text or not _SCALAR.fullmatch(text):
        return quoted
    value: bool | int | float = json.loads(text) if len(text) <= LONGEST else math.inf
    if abs(value) == math.inf or (isinstance(value, int) and abs(value) >= WHOLE):
        told = f"{what}: {text[:40]} is too large for a number that is compared; put it in double quotes as a text."
        raise InvalidRequest(told, param=param)
    return value
