"""Spans of time and rates, as people say them."""

from __future__ import annotations

from rushhour.flow.ledger.contract import MOST
from rushhour.rehearse.words import NO_LIMIT

_UNLIMITED = 1e6
"""Questions a second; no provider that sets a limit at all sets one there."""


def span(seconds: float | None) -> str:
    """Write seconds as `850 ms`, `12.4 s`, `3 min 20 s`, `5 h 10 min` or `2.5 days`; a dash for what is not known."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    if seconds < 3_570:
        return _two(round(seconds), 60, "min", "s")
    if seconds < 172_800:
        return _two(round(seconds / 60), 60, "h", "min")
    return f"{seconds / 86_400:.3g} days"


def rate(per_s: float) -> str:
    """Write how often something happens, in the unit that gives the most telling number."""
    if per_s >= _UNLIMITED:
        return "any number"
    if per_s >= 1:
        return f"{_round(per_s)} a second"
    return f"{_round(60 * per_s)} a minute" if per_s >= 1 / 60 else f"{_round(3600 * per_s)} an hour"


def a_minute(limit: float, *more: str) -> str:
    """Write what a limit says, and what goes with it; nothing goes with a limit that is none."""
    return NO_LIMIT if limit >= MOST else ", ".join((f"{limit:,.0f} a minute", *more))


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _two(value: int, part: int, large: str, small: str) -> str:
    whole, rest = divmod(value, part)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def floor(seconds: float, over_s: float) -> str:
    """Write when a limit has let everybody pass, in words where nobody waits for it."""
    return "as they come" if seconds <= over_s else span(seconds)


def used(part: float | None) -> str:
    """Write what is used of a limit; more than ten times of it as a multiple."""
    if part is None:
        return "–"
    return f"{part:,.0f} ×" if part >= 10 else f"{100 * part:.0f} %" if part >= 0.01 or not part else "< 1 %"
