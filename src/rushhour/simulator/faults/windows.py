"""Faults by the clock: outages and brownouts, in seconds since the simulator's start or last reset."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Annotated

import msgspec

from rushhour.simulator.faults import FAULTS, can_strike

Second = Annotated[float, msgspec.Meta(ge=0)]


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `from_s` until `to_s`, or until a reset where that is not said, on `surfaces`, or all of them."""

    from_s: Second
    to_s: Second = math.inf
    surfaces: tuple[str, ...] = ()

    def holds(self, at: float) -> bool:
        """Tell whether a call that arrives at `at` is in the window."""
        return self.from_s <= at < self.to_s

    def covers(self, surface: str) -> bool:
        """Tell whether a surface is meant."""
        return not self.surfaces or surface in self.surfaces


class Outage(Window, frozen=True, kw_only=True):
    """A time in which the share `share` of all calls meets the fault `kind`."""

    kind: str
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0

    def covers(self, surface: str) -> bool:
        """Tell whether a surface is meant and the fault exists there."""
        return super().covers(surface) and can_strike(self.kind, surface)


class Brownout(Window, frozen=True, kw_only=True):
    """A time in which every call takes `factor` times as long; none fails."""

    factor: Annotated[float, msgspec.Meta(ge=1, le=1_000)] = 10.0


def problem(key: str, windows: Sequence[Window], surfaces: Collection[str]) -> str | None:
    """Return what is wrong with the windows under a key of a profile, naming key, value and remedy, or None."""
    for number, window in enumerate(windows):
        wrong = _problem(f"{key}[{number}]", window, surfaces)
        if wrong:
            return wrong
    return _overlap(key, windows, surfaces)


def _problem(where: str, window: Window, surfaces: Collection[str]) -> str | None:
    if not math.isfinite(window.from_s) or window.to_s <= window.from_s:
        return (
            f"{where}.to_s = {window.to_s:g}: the window must end after it begins, at {window.from_s:g} s. Leave to_s "
            "out for one that lasts until a reset"
        )
    for surface in window.surfaces:
        if surface not in surfaces:
            return f"{where}.surfaces = {surface!r}: there is no such surface; known are {', '.join(surfaces)}"
    if isinstance(window, Outage):
        return _kind_problem(where, window, surfaces)
    return None


def _kind_problem(where: str, outage: Outage, surfaces: Collection[str]) -> str | None:
    if outage.kind == "brownout":
        return f"{where}.kind = 'brownout': calls only get slower; write the window as [[brownouts]]"
    if outage.kind not in FAULTS:
        return f"{where}.kind = {outage.kind!r}: there is no such fault; known are {', '.join(FAULTS)}"
    for surface in outage.surfaces:
        if not can_strike(outage.kind, surface):
            possible = ", ".join(one for one in surfaces if can_strike(outage.kind, one))
            return f"{where}.surfaces = {surface!r}: {outage.kind} cannot strike it, only {possible}"
    return None


def _overlap(key: str, windows: Sequence[Window], surfaces: Iterable[str]) -> str | None:
    for (first, one), (second, other) in combinations(enumerate(windows), 2):
        if one.from_s >= other.to_s or other.from_s >= one.to_s:
            continue
        for surface in surfaces:
            if one.covers(surface) and other.covers(surface):
                return (
                    f"{key}[{first}] ({span(one)}) and {key}[{second}] ({span(other)}) overlap on {surface}; end one "
                    "before the other begins, or give them different surfaces"
                )
    return None


def span(window: Window) -> str:
    """Return when a window is, in words."""
    return f"from {window.from_s:g} s on" if math.isinf(window.to_s) else f"from {window.from_s:g} to {window.to_s:g} s"
