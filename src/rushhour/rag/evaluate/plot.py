"""An evaluation as a picture: a panel for each metric, a line for each configuration, its interval as a whisker.

Self-contained SVG: no script, no font and no image to fetch, light and dark. All panels share one scale, which rarely
begins at 0; it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from rushhour.rag.evaluate.bootstrap import Estimate
from rushhour.rag.evaluate.results import Evaluation

COLUMNS: Final = 3
_WIDTH: Final = 980.0
_NAMES: Final = 128.0
"""Room on the left, for the names of the configurations."""
_GAP: Final = 44.0
_ROW: Final = 27.0
_HEAD: Final = 34.0
_FOOT: Final = 40.0
_TOP: Final = 62.0
_STYLE: Final = """
svg, :root { --ink: #1d1f23; --soft: #5f646d; --grid: #e4e1d9; --best: #14757a; --paper: #fbfaf7; }
svg { background: var(--paper);
  font: 14px -apple-system, BlinkMacSystemFont, "Segoe UI", Inter, Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg, :root { --ink: #eceae5; --soft: #a0a5ae; --grid: #2f333a; --best: #4fc3c0; --paper: #15171a; }
}
text { fill: var(--ink); font-variant-numeric: tabular-nums; } .soft { fill: var(--soft); font-size: 12.5px; }
.title { font-size: 18px; font-weight: 600; } .panel { font-weight: 600; } .grid { stroke: var(--grid); }
.whisker { stroke: var(--soft); stroke-width: 2.2; stroke-linecap: round; } .dot { fill: var(--soft); }
.close.whisker, .best.whisker { stroke: var(--best); } .best.dot { fill: var(--best); }
.close.dot { fill: var(--paper); stroke: var(--best); stroke-width: 2; }
text.best { fill: var(--best); font-weight: 650; }
"""
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>:root {{ color-scheme: light dark; }} body {{ margin: 0; background: var(--paper); }}
svg {{ display: block; width: 100%; max-width: 1100px; height: auto; margin: 2rem auto; }}</style></head>
<body>{svg}</body></html>
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From a share to a place within a panel."""

    ticks: tuple[float, ...]
    width: float

    def x(self, share: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.width * (share - low) / (high - low)


def drawn(found: Evaluation, *, page: bool = False) -> str:
    """Return the picture as SVG, or as an HTML page that holds it."""
    columns = min(COLUMNS, len(found.metrics))
    width = (_WIDTH - _NAMES - columns * _GAP) / columns
    height = _HEAD + _ROW * len(found.runs) + _FOOT
    scale = _Scale(_ticks(found), width)
    panels = []
    for nth, metric in enumerate(found.metrics):
        x = _NAMES + (nth % columns) * (width + _GAP)
        y = _TOP + (nth // columns) * height
        body = "".join(_panel(found, metric, scale, named=nth % columns == 0))
        panels.append(f'<g transform="translate({x:.1f} {y:.1f})">{body}</g>')
    bottom = _TOP + math.ceil(len(found.metrics) / columns) * height
    title = escape(f"{found.dataset}, {found.split}: {found.questions:,} questions to {found.documents:,} documents")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {bottom + 34:g}" role="img" '
        f'aria-label="{title}"><title>{title}</title><style>{_STYLE}</style>'
        f'<text class="title" x="20" y="36">{title}</text>{"".join(panels)}{_caption(found, bottom + 12)}</svg>\n'
    )
    return _PAGE.format(title=title, svg=svg) if page else svg


def _panel(found: Evaluation, metric: str, scale: _Scale, *, named: bool) -> Iterator[str]:
    base = _HEAD + _ROW * len(found.runs)
    yield f'<text class="panel" x="0" y="16">{escape(metric)}</text>'
    for tick in scale.ticks:
        x = scale.x(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 6:g}" y2="{base:g}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{base + 17:g}" text-anchor="middle">{tick:g}</text>'
    for nth, run in enumerate(found.runs):
        y = _HEAD + _ROW * (nth + 0.5)
        one = run.estimates[metric]
        if named:
            yield f'<text x="-14" y="{y + 5:g}" text-anchor="end">{escape(run.name)}</text>'
        yield from _estimate(one, scale, y)


def _estimate(one: Estimate, scale: _Scale, y: float) -> Iterator[str]:
    kind = "best" if one.best else "worse" if one.worse else "close"
    low, mean, high = (scale.x(share) for share in (one.low, one.mean, one.high))
    text = f"{one.mean:.3f}"
    yield f'<line class="whisker {kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:g}" y2="{y:g}"/>'
    yield f'<circle class="dot {kind}" cx="{mean:.1f}" cy="{y:g}" r="4.6"/>'
    side = f'x="{low - 8:.1f}" text-anchor="end"' if low > scale.width / 3 else f'x="{high + 8:.1f}"'
    yield f'<text class="soft {kind}" {side} y="{y + 4.5:g}">{text}</text>'


def _caption(found: Evaluation, y: float) -> str:
    begins = f" The scale begins at {_ticks(found)[0]:g}." if _ticks(found)[0] > 0 else ""
    told = (
        "Filled: the best. Hollow: not to be told from it. Grey: worse, with 95 % confidence (paired bootstrap). "
        f"Whiskers: 95 % intervals.{begins}"
    )
    return f'<text class="soft" x="20" y="{y:g}">{escape(told)}</text>'


def _ticks(found: Evaluation) -> tuple[float, ...]:
    """Return a few round numbers from below the lowest interval to above the highest."""
    every = [run.estimates[metric] for run in found.runs for metric in found.metrics]
    low, high = min(one.low for one in every), max(one.high for one in every)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if (high - low) / step <= 4 or step == 0.25)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return tuple(round(step * n, 4) for n in range(first, last + 1))
