"""How providers write spans of time: Go durations, plain seconds, HTTP dates and RFC 3339 stamps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rushhour.clock import unix_now

LONGEST_S = 7 * 86_400.0
"""A longer wait than this is a mistake of the sender's, not advice."""

_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""A plain number above these is no span but a moment: Unix time in seconds or milliseconds."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = r"([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})(ns|us|µs|μs|ms|s|m|h|d)"
_PARTS = re.compile(_PART)
_WHOLE = re.compile(rf"(?:{_PART})+")


def go_duration(text: str) -> float | None:
    """Return the seconds of a Go duration (`12ms`, `36.27s`, `1m26.4s`, `6m0s`; days are tolerated), else None."""
    text = text.strip()
    if text == "0":
        return 0.0
    if not _WHOLE.fullmatch(text):
        return None
    return sensible(math.fsum(float(count) * _UNITS[unit] for count, unit in _PARTS.findall(text)))


def number(text: str) -> float | None:
    """Return a plain finite number, else None: a header may hold anything."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def sensible(seconds: float | None) -> float | None:
    """Return a wait that somebody may have meant: not negative, not NaN, at most a week; else None."""
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_S else None


def span(text: str, headers: Mapping[str, str]) -> float | None:
    """Return seconds from now, however they are written; `headers` hold the sender's own Date, if any."""
    seconds = number(text)
    if seconds is not None and seconds < _EPOCH_S:
        return sensible(seconds)
    if seconds is not None:
        return _until(seconds if seconds < _EPOCH_MS else seconds / 1000, headers)
    if text[-1:].isalpha() and text[:1].isdigit() and "T" not in text:
        return go_duration(text)
    return _until(_moment(text), headers)


def _until(moment: float | None, headers: Mapping[str, str]) -> float | None:
    """Measure against the sender's clock where it tells it, so that a skew between clocks does not matter."""
    if moment is None:
        return None
    sent = _moment(headers.get("date", ""))
    now = sent if sent is not None else float(unix_now())
    return sensible(max(0.0, moment - now))


def _moment(text: str) -> float | None:
    """Return the Unix time of an HTTP date or an RFC 3339 stamp."""
    text = text.strip()
    try:
        stamp = datetime.fromisoformat(text) if text[:1].isdigit() and "T" in text else parsedate_to_datetime(text)
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
