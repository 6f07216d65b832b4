"""The figures of the report, drawn from a finished (or partial) rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rushhour.rehearse.charts import Plot, Point, cumulate, nice_ticks
from rushhour.rehearse.results import Rehearsal, Run
from rushhour.rehearse.scenario import BROWNOUT
from rushhour.rehearse.words import label_of, share

_BANDS = {"outage": "calls fail", "slow": "calls are slow"}


NARROW = 440.0
"""Units of width of a figure for a small screen."""
_STORM = 0.2
"""A second in which more than this share of the calls was refused with 429 belongs to a storm."""


def twice(wide: str, narrow: str) -> str:
    """Put a figure on the page for wide screens and for small ones; only one of them is shown, or read out."""
    return f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def answers_over_time(rehearsal: Rehearsal, narrow: bool = False) -> str:
    """Draw the right answers given so far, for each pipeline, under the line that no client can cross."""
    last = max([rehearsal.floor_s, *(run.makespan_s for run in rehearsal.runs)])
    plot = Plot(
        "Users answered rightly, over time, against what the provider admits",
        nice_ticks(last, 4 if narrow else 8),
        nice_ticks(rehearsal.users, 5),
        width=NARROW if narrow else 980,
        right=16 if narrow else 24,
        x_unit="seconds since the first user was due",
        y_unit="users answered",
    )
    ceiling = _ceiling(rehearsal, plot.x_ticks[-1])
    plot.above([*ceiling, (plot.x_ticks[-1], float(rehearsal.users))], "beyond")
    _bands(plot, rehearsal, words=not narrow)
    plot.axes()
    plot.line(ceiling, "ceiling")
    if rehearsal.runs:
        arrived = cumulate(rehearsal.runs[0].series.arrived, rehearsal.runs[0].series.step_s)
        until = [point for point, before in zip(arrived[1:], arrived, strict=False) if point[1] > before[1]]
        plot.line([(0.0, 0.0), *until], "arrivals")
    for run in rehearsal.runs:
        _answers_of(plot, run)
    return plot.svg()


def legend(rehearsal: Rehearsal) -> str:
    """Name the lines of the first figure."""
    names = [(run.pipeline, run.pipeline) for run in rehearsal.runs]
    names += [("ceiling", "the provider’s ceiling"), ("arrivals", "users arriving")]
    kinds = dict.fromkeys(_band_class(window.kind) for window in rehearsal.windows)
    names += [(kind, _BANDS[kind]) for kind in kinds]
    keys = "".join(f'<li><svg viewBox="0 0 28 8">{_key(colour)}</svg>{escape(name)}</li>' for colour, name in names)
    return f'<ul class="legend">{keys}</ul>'


def _key(colour: str) -> str:
    if colour in _BANDS:
        return f'<rect class="band {colour}" x="1" y="0" width="26" height="8"/>'
    return f'<path class="line {colour}" d="M1 4L27 4"/>'


def _bands(plot: Plot, rehearsal: Rehearsal, words: bool = False) -> None:
    """Shade the times in which the provider failed or was slow."""
    end = plot.x_ticks[-1]
    for n, window in enumerate(rehearsal.windows):
        until = end if window.until_s is None else window.until_s
        if window.from_s >= end:
            continue
        colour = _band_class(window.kind)
        plot.band(window.from_s, until, colour)
        if words:
            plot.word(window.from_s, plot.y_ticks[-1], window.label, colour, lift=-15 - 18 * (n % 3), shift=6)


def _band_class(kind: str) -> str:
    return "slow" if kind == BROWNOUT else "outage"


def _answers_of(plot: Plot, run: Run) -> None:
    points = cumulate(run.series.answered, run.series.step_s)
    reached = next((n for n, point in enumerate(points) if point[1] == points[-1][1]), 0)
    points = points[: reached + 1]
    if run.makespan_s > points[-1][0]:
        points.append((run.makespan_s, points[-1][1]))
    plot.area(points, run.pipeline)
    plot.line(points, run.pipeline)
    end, total = points[-1]
    plot.dot(end, total, run.pipeline)
    name = f"{run.pipeline}: {run.answered:,}"
    fits = plot.x(end) < plot.width - plot.right - 8 * len(name) - 14
    plot.word(
        end, total, name, run.pipeline, "start" if fits else "end", lift=-5 if fits else 10, shift=11 if fits else 0
    )


def _ceiling(rehearsal: Rehearsal, until: float) -> list[Point]:
    """Return the ceiling's corners up to a time."""
    corners = rehearsal.floor.ceiling or [(0.0, 0.0)]
    seen = [corner for corner in corners if corner[0] <= until]
    beyond = next((corner for corner in corners if corner[0] > until), None)
    if beyond is not None:
        (x0, y0), (x1, y1) = seen[-1], beyond
        seen.append((until, y0 + (y1 - y0) * (until - x0) / (x1 - x0)))
    return seen


def provider_view(rehearsal: Rehearsal) -> str:
    """Draw the chat calls that the provider served, failed and refused each second, one panel a pipeline."""
    runs = [run for run in rehearsal.runs if run.series.admitted]
    if not runs:
        return ""
    rows = [_seconds_of(run) for run in runs]
    high = max([1.2 * (rehearsal.limit_per_s or 0.0), *(float(sum(row)) for panel in rows for row in panel)])
    longest = max(len(panel) for panel in rows)
    width = 480.0 if len(runs) < 3 else 340.0
    panels = [
        _provider_panel(rehearsal, run, panel, high, longest, width) for run, panel in zip(runs, rows, strict=True)
    ]
    return f'<div class="pair">{"".join(panels)}</div>'


def _seconds_of(run: Run) -> list[tuple[int, int, int]]:
    """Return the calls served, failed and refused in each second."""
    series = run.series
    failed = series.failed or [0] * len(series.admitted)
    return [
        (admitted - broken, broken, throttled)
        for admitted, broken, throttled in zip(series.admitted, failed, series.throttled, strict=True)
    ]


def _provider_panel(
    rehearsal: Rehearsal, run: Run, rows: Sequence[tuple[int, int, int]], high: float, longest: int, width: float
) -> str:
    limit = rehearsal.limit_per_s
    plot = Plot(
        f"Calls that the provider admitted and refused each second: {run.pipeline}",
        nice_ticks(longest, 6 if width > NARROW else 4),
        nice_ticks(high, 4),
        width=width,
        height=0.45 * width + 54,
        left=46,
        right=12,
        x_unit="seconds",
        y_unit="calls a second",
    )
    _bands(plot, rehearsal)
    for start, end in _storms(rows):
        plot.band(start, end, "storm")
    plot.axes()
    for second, (served, failed, throttled) in enumerate(rows):
        plot.bar(second, second + 1, 0, served, run.pipeline)
        plot.bar(second, second + 1, served, served + failed, "failed")
        plot.bar(second, second + 1, served + failed, served + failed + throttled, "throttled")
    if limit is not None:
        plot.line([(0, limit), (plot.x_ticks[-1], limit)], "ceiling")
    refused, failed = sum(row[2] for row in rows), sum(row[1] for row in rows)
    caption = f"<b class='{run.pipeline}'>{escape(run.pipeline)}</b> · {refused:,} refused with 429, {failed:,} failed"
    return f"<div>{plot.svg()}<p class='panel'>{caption}</p></div>"


def _storms(rows: Sequence[tuple[int, int, int]]) -> list[tuple[float, float]]:
    """Return the times of which every second had a good part of its calls refused."""
    stormy = [throttled > _STORM * (served + failed + throttled) for served, failed, throttled in rows] + [False]
    found: list[tuple[float, float]] = []
    begun: int | None = None
    for second, now in enumerate(stormy):
        if now and begun is None:
            begun = second
        elif not now and begun is not None:
            found.append((float(begun), float(second)))
            begun = None
    return found


def waiting(rehearsal: Rehearsal, narrow: bool = False) -> str:
    """Draw the share of all users who had a right answer within a time, and the least that the limit asks."""
    waits = [wait for run in rehearsal.runs for wait in run.served_within_s if wait is not None]
    plot = Plot(
        "Share of all users who had a right answer within a time",
        nice_ticks(max(waits, default=1.0), 4 if narrow else 8),
        [0, 20, 40, 60, 80, 100],
        width=NARROW if narrow else 980,
        right=16 if narrow else 24,
        height=340,
        x_unit="seconds since the user was due",
        y_unit="users answered",
        y_suffix=" %",
    )
    plot.axes()
    least = [(wait, float(p)) for p, wait in enumerate(rehearsal.floor.waits_s) if wait is not None]
    if len(least) > 1 and least[-1][0] > 0:
        plot.line([point for point in least if point[0] <= plot.x_ticks[-1]], "ceiling")
    for run in rehearsal.runs:
        points = [(wait, float(p)) for p, wait in enumerate(run.served_within_s) if wait is not None]
        if len(points) < 2:
            continue
        plot.line([*points, (plot.x_ticks[-1], points[-1][1])], run.pipeline)
        for p in (50, 95):
            wait = run.served_within_s[p]
            if wait is not None:
                plot.dot(wait, p, run.pipeline)
                right = plot.x(wait) < plot.left + 150
                plot.word(
                    wait, p, f"{p} % within {wait:.1f} s", run.pipeline, "start" if right else "end",
                    lift=-5 if right else 9, shift=10 if right else 0,
                )  # fmt: skip
        if run.served_within_s[95] is None:
            plot.word(
                plot.x_ticks[-1],
                points[-1][1],
                f"{run.pipeline}: {share(run.answered, rehearsal.users)}, then nothing more",
                run.pipeline,
                "end",
                lift=9,
            )
    return plot.svg()


def outcomes(rehearsal: Rehearsal) -> str:
    """Draw how the visits ended, as one bar of all users a pipeline, with a legend that carries the counts."""
    rows = []
    for run in rehearsal.runs:
        parts = outcome_parts(run)
        bar = "".join(
            f'<span class="{colour}" style="flex:{count}" title="{escape(label)}: {count:,}"></span>'
            for label, count, colour in parts
        )
        legend = "".join(
            f'<li><i class="{colour}"></i>{escape(label)} <b>{count:,}</b> '
            f"<small>{share(count, rehearsal.users)}</small></li>"
            for label, count, colour in parts
        )
        rows.append(
            f'<div class="outcome"><h3 class="{run.pipeline}">{escape(run.pipeline)}</h3>'
            f'<div class="stack" role="img" aria-label="How the visits to {escape(run.pipeline)} ended">{bar}</div>'
            f"<ul>{legend}</ul></div>"
        )
    return "".join(rows)


def outcome_parts(run: Run) -> list[tuple[str, int, str]]:
    """Return (label, users, CSS class) for every way in which visits ended, the right answers first."""
    parts = [
        ("answered rightly", run.answered, f"fill-{run.pipeline}"),
        ("refused honestly, with a time to come back", run.refused, "fill-refused"),
        ("wrong answer", run.wrong, "fill-wrong"),
    ]
    parts += [(label_of(kind), count, f"fill-error-{min(n, 4)}") for n, (kind, count) in enumerate(run.errors.items())]
    return [part for part in parts if part[1]]
