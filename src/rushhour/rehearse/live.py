"""The rehearsal in the terminal: steps as they begin, a counting bar for each pipeline, then the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.results import Rehearsal, Run, Slo
from rushhour.rehearse.story import headline, story
from rushhour.rehearse.words import dollars, label_of, megabytes, ratio, seconds, share

_COLOURS = {"naive": "dark_orange3", "sdk": "dark_goldenrod", "production": "dark_cyan", "target": "medium_purple"}


class Terminal:
    """Shows progress while it is entered; a Watcher. Where there is no terminal, each step is one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._steps = Progress(
            SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        )
        self._table = Table.grid()
        self._table.add_row(self._steps)
        self._table.add_row(self._progress)
        self._live = Live(self._table, console=console, refresh_per_second=8, transient=False)
        self._step: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        self._counts: dict[str, dict[Outcome, int]] = {}

    def __enter__(self) -> Terminal:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_step()
        if self._console.is_terminal:
            self._live.stop()

    def step(self, text: str) -> None:
        """Begin a step; the one before is done."""
        self._end_step()
        if not self._console.is_terminal:
            self._console.print(f"· {text}")
        self._step = self._steps.add_task(text, total=1)

    def opens(self, pipeline: str, users: int) -> None:
        """Begin one pipeline's bar."""
        self._end_step()
        name = f"[{_COLOURS.get(pipeline, 'default')}]Monday: {pipeline:<10}[/]"
        self._bars[pipeline] = self._progress.add_task(name, total=users, counts="")
        self._counts[pipeline] = dict.fromkeys(Outcome, 0)

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Count a user."""
        counts = self._counts[pipeline]
        counts[visit.outcome] += 1
        other = sum(count for outcome, count in counts.items() if outcome is not Outcome.ANSWERED)
        shown = f"[green]{counts[Outcome.ANSWERED]:,} answered[/] · [{'red' if other else 'dim'}]{other:,} not[/]"
        self._progress.update(self._bars[pipeline], advance=1, counts=shown)

    def _end_step(self) -> None:
        if self._step is not None:
            self._steps.update(self._step, completed=1)
            self._step = None


def print_result(console: Console, rehearsal: Rehearsal, files: list[Path]) -> None:
    """Print the table, the story, and where the report is."""
    console.print()
    console.print(_table(rehearsal))
    if rehearsal.slo is not None:
        held = "[green]held[/]" if rehearsal.slo.held else "[red]missed[/]"
        console.print(f"\n[bold]Objectives of {rehearsal.slo.pipeline or 'nothing'}:[/] {held}", highlight=False)
        console.print(_objectives(rehearsal.slo))
    console.print()
    for sentence in story(rehearsal):
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    console.print()
    for file in files:
        console.print(f"  Report: {file}", style="bold", highlight=False, soft_wrap=True)


def _table(rehearsal: Rehearsal) -> Table:
    table = Table(title=headline(rehearsal), title_justify="left", title_style="bold", pad_edge=False, expand=False)
    table.add_column("")
    for run in rehearsal.runs:
        table.add_column(run.pipeline, justify="right", header_style=_COLOURS.get(run.pipeline, ""))
    table.add_column("floor", justify="right", style="dim")
    floor = f"{round(rehearsal.floor_s, 1):g} s"
    _add(table, rehearsal, "answered rightly", lambda run: f"{run.answered:,} ({share(run.answered, rehearsal.users)})")
    if any(run.degraded for run in rehearsal.runs):
        _add(table, rehearsal, "… of them with less than asked", lambda run: f"{sum(run.degraded.values()):,}")
    _add(table, rehearsal, "wrong answers", lambda run: f"{run.wrong:,}")
    if any(run.refused_first for run in rehearsal.runs):
        _add(table, rehearsal, "refused honestly at first", lambda run: f"{run.refused_first:,}")
        _add(table, rehearsal, "… came again as told, and answered", _served_again)
    _add(table, rehearsal, "refused honestly", lambda run: f"{run.refused:,}")
    for kind in dict.fromkeys(kind for run in rehearsal.runs for kind in run.errors):
        table.add_row(escape(label_of(kind)), *(f"{run.errors.get(kind, 0):,}" for run in rehearsal.runs), "")
    _tenants(table, rehearsal)
    table.add_section()
    _add(table, rehearsal, "wait, median", lambda run: seconds(run.p50_s))
    _add(table, rehearsal, "wait, 95th / 99th percentile", lambda run: f"{seconds(run.p95_s)} / {seconds(run.p99_s)}")
    _add(table, rehearsal, "99 % of users done after", lambda run: seconds(run.done_99_s), floor)
    _add(table, rehearsal, "last user done after", lambda run: seconds(run.makespan_s), floor)
    table.add_section()
    _add(table, rehearsal, "provider calls refused with 429", lambda run: f"{run.throttled:,}")
    _add(table, rehearsal, "embedding calls a right answer", lambda run: ratio(run.embeddings_per_answer))
    _add(table, rehearsal, "connections to the provider", lambda run: f"{run.connections:,}")
    _add(table, rehearsal, "cost of 1,000 right answers", lambda run: dollars(run.cost_per_answer_usd, 1000))
    _add(table, rehearsal, "CPU of the pipeline", lambda run: seconds(run.cpu_s))
    _add(table, rehearsal, "largest memory", lambda run: megabytes(run.peak_rss_mb))
    _add(table, rehearsal, "the provider on this client", lambda run: (run.verdict or {}).get("verdict", "–"))
    return table


def _tenants(table: Table, rehearsal: Rehearsal) -> None:
    """Add a line for each tenant: how many were answered, and how long most of them waited."""
    if not any(run.tenants for run in rehearsal.runs):
        return
    table.add_section()
    for row in zip(*(run.tenants for run in rehearsal.runs if run.tenants), strict=True):
        flood = " (all at once)" if row[0].flooded else ""
        cells = [f"{one.answered:,} of {one.users:,} · {seconds(one.p95_s)}" for one in row]
        table.add_row(f"{row[0].tenant}{flood}: answered · 95 %", *cells, "")


def _served_again(run: Run) -> str:
    return f"{run.returned.answered:,} of {run.returned.users:,}"


def _objectives(slo: Slo) -> Table:
    table = Table(pad_edge=False)
    for column in ("objective", "measured", ""):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for one in slo.objectives:
        table.add_row(one.objective, one.shown, "[green]held[/]" if one.held else "[red]missed[/]")
    return table


def _add(table: Table, rehearsal: Rehearsal, label: str, value: Callable[[Run], str], floor: str = "") -> None:
    table.add_row(label, *(value(run) for run in rehearsal.runs), floor)
