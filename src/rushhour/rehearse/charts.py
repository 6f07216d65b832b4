"""Plots as SVG text: a plane with axes, on which lines, steps, bars and words are put.

Colours are names of CSS classes (`naive`, `production`, `ceiling` …), so that a page decides them for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


_LETTER = 7.6
"""Mean width of a letter of a word, in units."""
_LINE = 17.0
"""Distance of two lines of words, in units."""
_STEPS = (0.0, _LINE, -_LINE, 2 * _LINE, -2 * _LINE, 3 * _LINE)


def nice_ticks(high: float, about: int = 6) -> list[float]:
    """Return round numbers from 0 to at least `high`, about as many as asked (steps of 1, 2, 2.5 or 5 × 10ⁿ)."""
    if high <= 0:
        return [0.0, 1.0]
    rough = high / about
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough * 0.999)
    return [round(step * n, 10) for n in range(math.ceil(high / step - 1e-9) + 1)]


def number(value: float) -> str:
    """Write a tick: thousands separated, no needless decimals."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


@dataclass(slots=True)
class Plot:
    """A plane of `width` × `height` units with data coordinates from 0 to the last tick on both axes."""

    title: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    width: float = 980
    height: float = 380
    left: float = 58
    right: float = 24
    top: float = 18
    bottom: float = 46
    x_unit: str = ""
    y_unit: str = ""
    y_suffix: str = ""
    _parts: list[str] = field(default_factory=list)
    _words: list[tuple[float, float, float]] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Place a data coordinate on the page."""
        return self.left + (self.width - self.left - self.right) * value / self.x_ticks[-1]

    def y(self, value: float) -> float:
        """Place a data coordinate on the page."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * value / self.y_ticks[-1]

    def axes(self) -> None:
        """Draw the grid, the tick labels and the units."""
        base = self.height - self.bottom
        for tick in self.y_ticks:
            y = self.y(tick)
            self._parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.width - self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self._label(self.left - 9, y + 4, number(tick) + self.y_suffix, "tick", "end")
        for tick in self.x_ticks:
            self._label(self.x(tick), base + 20, number(tick), "tick", "middle")
        self._parts.append(
            f'<line class="axis" x1="{self.left}" x2="{self.width - self.right}" y1="{base}" y2="{base}"/>'
        )
        self._label(self.width - self.right, base + 39, self.x_unit, "unit", "end")
        self._label(self.left - 9, self.top - 22, self.y_unit, "unit", "start")

    def axis(self) -> None:
        """Draw the axis of time alone, with a faint line at each tick."""
        base = self.height - self.bottom
        for tick in self.x_ticks:
            x = self.x(tick)
            self._parts.insert(0, f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top:g}" y2="{base:g}"/>')
            self._label(x, base + 20, number(tick), "tick", "middle")
        self._parts.append(
            f'<line class="axis" x1="{self.left}" x2="{self.width - self.right}" y1="{base}" y2="{base}"/>'
        )
        self._label(self.width - self.right, base + 39, self.x_unit, "unit", "end")

    def lane(self, row: Lane, base: float) -> None:
        """Draw a row of bands, its label standing at `base`."""
        self._label(self.left, base, row.label, f"lane {row.colour}", "start")
        for start, end, shade in row.bands:
            x, last = self.x(max(start, 0.0)), self.x(min(self.x_ticks[-1] if end is None else end, self.x_ticks[-1]))
            if last > x:
                self._parts.append(
                    f'<rect class="bar {row.colour} shade-{shade}" x="{x:.1f}" y="{base + 5:g}" '
                    f'width="{max(last - x, 1.5):.1f}" height="12"/>'
                )

    def line(self, points: Sequence[Point], colour: str) -> None:
        """Draw straight lines through points."""
        self._parts.append(f'<path class="line {colour}" d="{self._path(points)}"/>')

    def area(self, points: Sequence[Point], colour: str) -> None:
        """Fill what lies between points and the horizontal axis."""
        closed = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)]
        self._parts.append(f'<path class="area {colour}" d="{self._path(closed)}Z"/>')

    def above(self, points: Sequence[Point], colour: str) -> None:
        """Fill what lies between points and the top of the plane."""
        top = self.y_ticks[-1]
        closed = [(points[0][0], top), *points, (points[-1][0], top)]
        self._parts.append(f'<path class="{colour}" d="{self._path(closed)}Z"/>')

    def bar(self, start: float, end: float, low: float, high: float, colour: str) -> None:
        """Draw an upright bar over an interval, with a hair of space to the next."""
        x, y = self.x(start) + 0.8, self.y(high)
        width, height = max(self.x(end) - x - 0.8, 0.6), self.y(low) - y
        if height > 0:
            self._parts.append(
                f'<rect class="bar {colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
            )

    def band(self, start: float, end: float, colour: str) -> None:
        """Shade an interval over the whole height."""
        x, last = self.x(max(start, 0.0)), self.x(min(end, self.x_ticks[-1]))
        if last > x:
            height = self.height - self.top - self.bottom
            self._parts.append(
                f'<rect class="band {colour}" x="{x:.1f}" y="{self.top:g}" width="{last - x:.1f}" height="{height:g}"/>'
            )

    def dot(self, x: float, y: float, colour: str) -> None:
        """Mark one point."""
        self._parts.append(f'<circle class="dot {colour}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="4.5"/>')

    def word(
        self, x: float, y: float, text: str, colour: str, anchor: Anchor = "start", lift: float = 0, shift: float = 0
    ) -> None:
        """Write beside a point, `lift` units above it and `shift` to its right, or nearby where words stand already."""
        left, base = self.x(x) + shift, self.y(y) - lift
        width = _LETTER * len(text)
        start = left - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        base = min((base + step for step in _STEPS), key=lambda at: (self._crowded(start, width, at), abs(at - base)))
        self._words.append((start, start + width, base))
        self._label(left, base, text, f"word {colour}", anchor)

    def svg(self) -> str:
        """Return the finished picture; its title is read to those who cannot see it."""
        body = "".join(self._parts)
        return (
            f'<svg viewBox="0 -8 {self.width:g} {self.height + 8:g}" role="img" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title>{body}</svg>"
        )

    def _crowded(self, start: float, width: float, base: float) -> int:
        """Count the words that one at this place would touch."""
        return sum(
            start < right and left < start + width and abs(base - other) < _LINE for left, right, other in self._words
        )

    def _path(self, points: Sequence[Point]) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)

    def _label(self, x: float, y: float, text: str, colour: str, anchor: Anchor) -> None:
        if text:
            self._parts.append(
                f'<text class="{colour}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
            )


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of a timeline: what it tells, its colour, and bands (from, to or None for the end, shade from 1 to 4)."""

    label: str
    colour: str
    bands: Sequence[tuple[float, float | None, int]]


_LANE = 40.0
_SMALL = 600.0


def lanes(title: str, x_ticks: Sequence[float], rows: Sequence[Lane], width: float = 980) -> str:
    """Draw rows of bands over one axis of time, the label of each above it."""
    plot = Plot(
        title,
        x_ticks,
        [0.0, 1.0],
        width=width,
        height=_LANE * len(rows) + 50,
        left=58 if width > _SMALL else 14,
        right=24 if width > _SMALL else 16,
        top=0,
        x_unit="seconds since the first user was due",
    )
    for number, row in enumerate(rows):
        plot.lane(row, _LANE * number + 16)
    plot.axis()
    return plot.svg()


def cumulate(counts: Sequence[int], step: float) -> list[Point]:
    """Turn counts in bins into the points of a rising curve that starts at the origin."""
    points, total = [(0.0, 0.0)], 0
    for n, count in enumerate(counts):
        total += count
        points.append(((n + 1) * step, float(total)))
    return points
