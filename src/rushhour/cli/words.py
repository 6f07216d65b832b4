"""Numbers and times as people read them."""

from __future__ import annotations

from typing import Final

from rushhour.clock import unix_now

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


def age(moment: int) -> str:
    """Return the time since a moment in Unix seconds, in its largest unit: `40 s`, `3 min`, `5 h`, `12 d`."""
    seconds = max(0, unix_now() - moment)
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def why(name: str, reason: str) -> str:
    """Return a reason that names its file, which most do already."""
    return reason if reason.startswith(name) else f"{name}: {reason}"


def count(number: int, what: str) -> str:
    """Return a number of things: `1 file`, `2,000 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
