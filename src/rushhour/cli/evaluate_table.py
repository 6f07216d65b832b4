"""An evaluation in the terminal: a table with the best in bold and the uncertainty below every figure."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rushhour.rag.evaluate.bootstrap import Estimate
from rushhour.rag.evaluate.results import Evaluation, Run

WIDE = 106
"""Columns of a terminal that has room for both ends of every interval; a narrower one is told half their length."""
_NAMES = {"mrr@10": "MRR@10", "ndcg@10": "nDCG@10"}
_WORSE = "↓"


def show(found: Evaluation, console: Console) -> None:
    """Print the table, and below it what is needed to read it."""
    empty = f" ({found.empty} more are empty)" if found.empty else ""
    console.print(
        f"\n[bold]{escape(found.dataset)}[/] {escape(found.split)}: {found.questions:,} questions to "
        f"{found.documents:,} documents{empty} [dim]· {escape(found.embedder)}[/]\n"
    )
    wide = console.width >= WIDE
    console.print(_table(found, wide))
    console.print()
    for note in _notes(found, wide):
        console.print(note)


def _table(found: Evaluation, wide: bool) -> Table:
    paid = any(run.cost_usd for run in found.runs)
    table = Table(box=None, header_style="dim", padding=(0, 2 if wide else 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for metric in found.metrics:
        table.add_column(_heading(metric, wide), justify="right", no_wrap=True)
    table.add_column("p50\np95", justify="right", no_wrap=True)
    if paid:
        table.add_column("$ for\n1,000", justify="right", no_wrap=True)
    for run in found.runs:
        cells = [_cell(run.estimates[metric], wide) for metric in found.metrics]
        latency = f"{_time(run.p50_s)}\n[dim]{_time(run.p95_s)}[/]"
        cost = [f"{1000 * run.cost_usd:.4g}"] if paid else []
        table.add_row(_name(run), *cells, latency, *cost)
    return table


def _heading(metric: str, wide: bool) -> str:
    name = _NAMES.get(metric, metric)
    return f"{name} " if wide else f"{name.replace('recall', 'R').replace('answer', 'ans')} "


def _name(run: Run) -> str:
    less = "".join(f"\n[yellow]{escape(label)} {count:,}×[/]" for label, count in sorted(run.degraded.items()))
    return f"{escape(run.name)}{less}"


def _cell(one: Estimate, wide: bool) -> str:
    mean = f"[bold green]{_share(one.mean)}[/] " if one.best else f"{_share(one.mean)}{_WORSE if one.worse else ' '}"
    interval = f"{_share(one.low)}–{_share(one.high)}" if wide else f"±{_share((one.high - one.low) / 2)}"
    return f"{mean}\n[dim]{interval} [/]"


def _notes(found: Evaluation, wide: bool) -> list[str]:
    reading = (
        f"[dim]Bold: the best. {_WORSE}: worse than the best with 95 % confidence (paired bootstrap). Below each "
        f"figure: {'its 95 % interval' if wide else 'half its 95 % interval'}.[/]"
    )
    notes = [reading]
    answer = next((metric for metric in found.metrics if metric.startswith("answer@")), None)
    if answer:
        notes.append(
            f"[dim]{answer}: the share of the {found.answerable:,} questions with known answers whose packed passages "
            "hold one.[/]"
        )
    notes.append(f"[dim]Times: from question to packed passages, {found.at_once} at a time, on this machine.[/]")
    if any(run.degraded for run in found.runs):
        notes.append(
            "[yellow]Some questions got less than was asked for (counted below the name): those figures are not this "
            "configuration's.[/]"
        )
    if reused := sum(run.reused for run in found.runs):
        notes.append(f"[yellow]{reused:,} vectors came from a cache: latency and cost are too low.[/]")
    return notes


def _share(share: float) -> str:
    """Write a share with three digits and no needless zero."""
    return "1.00" if share >= 0.9995 else f"{share:.3f}".removeprefix("0")


def _time(seconds: float) -> str:
    if seconds < 0.0015:
        return "1 ms"
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
