"""Durations as OpenAI writes them: Go's notation, to the millisecond."""

from __future__ import annotations


def to_the_millisecond(seconds: float) -> int:
    """Return whole milliseconds, rounded, but never down to nothing: a wait that exists is at least one."""
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def go_duration(seconds: float) -> str:
    """Write seconds as Go does: `522ms`, `6.2s`, `20s`, `1m26.4s`, `6m0s`, `1h12m0s`, and `0s` for nothing.

    Rounded as `to_the_millisecond` does.
    """
    milliseconds = to_the_millisecond(seconds)
    if not milliseconds:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail
