"""What every benchmark says at its end: tables, promises kept or not, and the same as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 120

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """`key` names it in the JSON; `shown` is a format specification for its numbers, as in `,.1f` or `.1%`."""

    title: str
    key: str
    shown: str = ""

    def cell(self, value: Cell) -> str:
        """Return the value as the table shows it."""
        if value is None:
            return "–"
        return value if isinstance(value, str) else format(value, self.shown)


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound and what was measured against it; `clock` says that the machine's speed takes part in it."""

    what: str
    measured: float
    bound: str
    kept: bool
    clock: bool


class Report:
    """Collects what one benchmark found, prints it, and writes it down."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tables: list[tuple[str, tuple[Column, ...], list[tuple[Cell, ...]]]] = []
        self._promises: list[Promise] = []
        self._notes: list[str] = []

    def table(self, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """Add a table; a row has one cell a column."""
        self._tables.append((title, tuple(columns), [tuple(row) for row in rows]))

    def at_least(self, what: str, measured: float, bound: float, shown: str = "", *, clock: bool = False) -> None:
        """Promise that a figure reaches a bound."""
        self._promises.append(Promise(what, measured, f"≥ {bound:{shown}}", measured >= bound, clock))

    def at_most(self, what: str, measured: float, bound: float, shown: str = "", *, clock: bool = False) -> None:
        """Promise that a figure stays within a bound."""
        self._promises.append(Promise(what, measured, f"≤ {bound:{shown}}", measured <= bound, clock))

    def note(self, text: str) -> None:
        """Add a sentence that the reader needs to judge the figures."""
        self._notes.append(text)

    def finish(self, json_file: Path | None) -> None:
        """Print everything, and write it to a file where one is wanted."""
        console = Console()
        console = Console(width=max(console.width, _WIDTH))
        for title, columns, rows in self._tables:
            console.print(_drawn(title, columns, rows))
        for note in self._notes:
            console.print(note, highlight=False)
        for promise in self._promises:
            mark = "[green]kept[/]  " if promise.kept else "[red]broken[/]"
            console.print(f"{mark} {promise.what}: {promise.measured:,.4g} ({promise.bound})", highlight=False)
        if json_file is not None:
            json_file.write_text(json.dumps(self._as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")

    def _as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self._name,
            "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
            "tables": {
                title: [dict(zip((column.key for column in columns), row, strict=True)) for row in rows]
                for title, columns, rows in self._tables
            },
            "promises": [asdict(promise) for promise in self._promises],
            "notes": self._notes,
        }


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    return parser


def _drawn(title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column.title, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(column.cell(value) for column, value in zip(columns, row, strict=True)))
    return table
