"""Mistakes of a scenario that no single key shows: faults that cannot strike, overlapping outages, a tenant twice."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rushhour.errors import InvalidRequest
from rushhour.rehearse.durations import parse_duration
from rushhour.rehearse.scenario import SURFACES
from rushhour.simulator.faults import FAULTS, can_strike


def mistakes_in(content: Mapping[str, Any]) -> Iterator[str]:
    """Find what no single key shows; the content may be wrong otherwise too."""
    yield from _fault_mistakes(content)
    yield from _window_mistakes(content)
    arrivals, over = content.get("arrivals"), content.get("over")
    if arrivals == "burst" and over not in (None, 0, "0s"):
        yield f"over = {over!r}: in a burst all users come at once; leave it out, or set arrivals to uniform"
    if content.get("replay") and arrivals != "replay":
        yield f'replay = {content["replay"]!r}: recorded times are used with arrivals = "replay" only'
    tenants = content.get("tenants")
    names = [one.get("name") for one in tenants if isinstance(one, dict)] if isinstance(tenants, list) else []
    for name in {name for name in names if name is not None and names.count(name) > 1}:
        yield f"tenants: {name!r} is named {names.count(name)} times; give each tenant a name of its own"


def _fault_mistakes(content: Mapping[str, Any]) -> Iterator[str]:
    """Find faults that do not exist, cannot strike, or strike more calls than there are."""
    faults = content.get("faults")
    for surface, shares in faults.items() if isinstance(faults, Mapping) else ():
        if surface not in SURFACES or not isinstance(shares, Mapping):
            continue
        for kind in shares:
            if problem := _kind_problem(kind, (surface,)):
                yield f"faults.{surface}.{kind}: {problem}"
        whole = sum(share for share in shares.values() if isinstance(share, int | float))
        if whole > 1:
            yield f"faults.{surface}: the shares add up to {whole:g}; they are parts of all calls, 1 at most"


def _window_mistakes(content: Mapping[str, Any]) -> Iterator[str]:
    """Find windows that end before they begin, strike with what does not exist, or overlap on one API."""
    for key in ("outages", "brownouts"):
        given = content.get(key)
        windows = [*_read_windows(key, given)] if isinstance(given, list) else []
        for window in windows:
            if window.to <= window.begin:
                yield (
                    f"{window.where}: it ends at {window.to:g} s, before it begins at {window.begin:g} s; "
                    "let `to` be later than `from`"
                )
            if key == "outages" and (problem := _kind_problem(window.kind, window.surfaces)):
                yield f"{window.where}.kind = {window.kind!r}: {problem}"
        for one, other in combinations(windows, 2):
            shared = ", ".join(surface for surface in one.surfaces if surface in other.surfaces)
            if shared and one.begin < other.to and other.begin < one.to:
                yield (
                    f"{other.where} ({other.begin:g} to {other.to:g} s) overlaps {one.where} ({one.begin:g} to "
                    f"{one.to:g} s) on {shared}; end one before the other begins, or make them one"
                )


@dataclass(frozen=True, slots=True)
class _Span:
    where: str
    begin: float
    to: float
    kind: str
    surfaces: tuple[str, ...]


def _read_windows(key: str, given: list[Any]) -> Iterator[_Span]:
    """Read what can be read: what else is wrong is told by the keys themselves."""
    for number, one in enumerate(given):
        if not isinstance(one, Mapping):
            continue
        begin, to = _time(one.get("from")), _time(one.get("to", math.inf))
        surfaces = one.get("surfaces", ("chat",))
        if math.isnan(begin) or math.isnan(to) or not isinstance(surfaces, list | tuple):
            continue
        yield _Span(f"{key}[{number}]", begin, to, str(one.get("kind", "server_error")), tuple(map(str, surfaces)))


def _time(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    try:
        return parse_duration(value) if isinstance(value, str) else math.nan
    except InvalidRequest:
        return math.nan


def _kind_problem(kind: str, surfaces: tuple[str, ...]) -> str:
    if kind not in FAULTS:
        close = difflib.get_close_matches(kind, FAULTS, n=1)
        return f"there is no such fault; {f'did you mean {close[0]}?' if close else 'known are ' + ', '.join(FAULTS)}"
    unreached = [surface for surface in surfaces if surface in SURFACES and not can_strike(kind, surface)]
    if unreached:
        possible = ", ".join(surface for surface in SURFACES if can_strike(kind, surface))
        return f"it cannot strike {', '.join(unreached)}, only {possible}"
    return ""
