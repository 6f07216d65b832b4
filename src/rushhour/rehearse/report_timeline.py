"""When things went wrong: the provider's troubles, and each pipeline's refusals and losses, on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rushhour.rehearse.charts import Lane, lanes, nice_ticks
from rushhour.rehearse.results import Rehearsal, Run, Series, WindowNote
from rushhour.rehearse.scenario import BROWNOUT

_STEPS = 4
"""Shades of a band: the darkest for its worst second."""


def timeline(rehearsal: Rehearsal) -> str:
    """Return the section; empty where nothing went wrong."""
    if not _lanes(rehearsal):
        return ""
    return (
        "<section><h2>When things went wrong</h2><p>Each band is a time in which something failed; the darker, the "
        "more "
        "of it in that second. What the provider did comes first, then what each pipeline made of it.</p>"
        f'<div class="wide">{draw_timeline(rehearsal)}</div><div class="narrow">{draw_timeline(rehearsal, True)}</div>'
        "</section>"
    )


def draw_timeline(rehearsal: Rehearsal, narrow: bool = False) -> str:
    """Draw it, for a wide page or a narrow one."""
    last = max([rehearsal.floor_s, *(run.makespan_s for run in rehearsal.runs)])
    ticks = nice_ticks(last, 4 if narrow else 8)
    title = "When the provider failed, refused, and users got nothing, over time"
    return lanes(title, ticks, _lanes(rehearsal), 440 if narrow else 980)


def _lanes(rehearsal: Rehearsal) -> list[Lane]:
    found = [_window(window) for window in rehearsal.windows]
    for run in rehearsal.runs:
        found += _of_run(run)
    return found


def _window(window: WindowNote) -> Lane:
    colour = "slow" if window.kind == BROWNOUT else "outage"
    return Lane(f"the provider: {window.label}", colour, [(window.from_s, window.until_s, _STEPS)])


def _of_run(run: Run) -> Iterator[Lane]:
    series = run.series
    if sum(series.throttled):
        told = f"{run.pipeline}: {sum(series.throttled):,} chat calls refused with 429"
        yield Lane(told, "storm", _bands(series.throttled))
    lost = _unserved(series)
    if sum(lost):
        yield Lane(f"{run.pipeline}: {sum(lost):,} users left without an answer", "lost", _bands(lost))


def _unserved(series: Series) -> list[int]:
    """Return the users who left without a right answer, by the second."""
    each = max(round(1 / series.step_s), 1)
    return [sum(series.unserved[n : n + each]) for n in range(0, len(series.unserved), each)]


def _bands(counts: Sequence[int]) -> list[tuple[float, float | None, int]]:
    """Join seconds of the same shade to bands."""
    most = max(counts)
    shades = [-(-_STEPS * number // most) for number in counts]
    bands: list[tuple[float, float | None, int]] = []
    begun = 0
    for second in range(1, len(shades) + 1):
        if second == len(shades) or shades[second] != shades[begun]:
            if shades[begun]:
                bands.append((float(begun), float(second), shades[begun]))
            begun = second
    return bands
