"""When users come: the times of a crowd's arrivals, in seconds from the start."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

Arrivals: TypeAlias = Literal["poisson", "uniform", "burst", "ramp", "replay"]
_Shape: TypeAlias = Callable[[float], float]

_MOST_NAMED = 5


class UnreadableTimes(ValueError):
    """A file of arrival times cannot be used; the message names the file and its wrong lines."""


def times_of(kind: Arrivals, users: int, over_s: float, drawn: random.Random, recorded: Sequence[float]) -> list[float]:
    """Return when each user comes, in order.

    Poisson arrivals, given how many come in an interval, are as many uniform draws in it. `uniform` ones are evenly
    spaced, `burst` is everybody at once, and the rate of a `ramp` grows evenly from nothing. A `replay` repeats
    recorded times, stretched to `over_s`; fewer users than were recorded are an even selection of them.
    """
    if kind == "poisson":
        return sorted(drawn.uniform(0, over_s) for _ in range(users))
    if kind == "replay":
        return _replayed(recorded, users, over_s)
    return [over_s * _SHAPES[kind](user / users) for user in range(users)]


def expected(kind: Arrivals, users: int, over_s: float, recorded: Sequence[float]) -> list[float]:
    """Return the arrivals without their chance: where `times_of` draws, evenly spaced ones."""
    shape: Arrivals = "uniform" if kind == "poisson" else kind
    return times_of(shape, users, over_s, random.Random(0), recorded)


def read_times(path: Path) -> tuple[float, ...]:
    """Read recorded times from a CSV file: its first column, or the one headed `at`, `time` or `timestamp`.

    A time is a number of seconds or an ISO 8601 date and time. They are sorted, and the first becomes 0. Raises OSError
    and UnreadableTimes, which names every line (to a point) that is wrong.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(cell.strip() for cell in row)]
    column = 0
    if rows and _time(rows[0][1][0]) is None:
        names = [cell.strip().lower() for cell in rows[0][1]]
        column = next((names.index(name) for name in ("at", "time", "timestamp") if name in names), 0)
        rows = rows[1:]
    times = {number: _time(row[column] if column < len(row) else "") for number, row in rows}
    wrong = [number for number, time in times.items() if time is None]
    if wrong:
        named = ", ".join(str(number) for number in wrong[:_MOST_NAMED])
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise UnreadableTimes(
            f"{path}: line {named}{more}: not a time; write seconds (12.5) or a date and time (2026-11-23T09:00:00)"
        )
    found = sorted(time for time in times.values() if time is not None)
    if not found:
        raise UnreadableTimes(f"{path} holds no times; write one a line")
    return tuple(time - found[0] for time in found)


def _time(text: str) -> float | None:
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text).timestamp()
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) else None


def _replayed(recorded: Sequence[float], users: int, over_s: float) -> list[float]:
    span = recorded[-1]
    stretch = over_s / span if span else 0.0
    return [recorded[user * len(recorded) // users] * stretch for user in range(users)]


_SHAPES: Mapping[Arrivals, _Shape] = {"uniform": float, "burst": lambda _part: 0.0, "ramp": math.sqrt}
