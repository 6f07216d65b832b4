"""Durations as people write them."""

from __future__ import annotations

import re

from rushhour.errors import InvalidRequest

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?")


def parse_duration(text: str, name: str = "duration") -> float:
    """Return the seconds of `500ms`, `5s`, `2m`, `1h`, or of a bare number, which is seconds.

    Raises InvalidRequest, naming what was given and the forms there are.
    """
    match = _WRITTEN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidRequest(f"{name} is {text!r}; write a duration like 5s, 500ms, 2m or 1h.", param=name)
    return float(match[1]) * _UNITS[match[2] or "s"]
