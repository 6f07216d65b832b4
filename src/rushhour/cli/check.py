"""`rushhour check`: is everything set right, and is everything there."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rushhour.cli.loop import run
from rushhour.errors import RushhourError

_PATIENCE_S = 30.0


def check(
    show: Annotated[bool, typer.Option("--settings", help="List every setting with its value.")] = False,
) -> None:
    """Validate the settings, reach every dependency once, say what is wrong and how to mend it.

    Example:  RUSHHOUR_CHAT__PROVIDER=openai RUSHHOUR_CHAT__MODEL=… RUSHHOUR_CHAT__API_KEY=… rushhour check
    """
    console = Console(highlight=False)
    if show:
        _show_settings(console)
        return
    if not run(_check(console)):
        raise typer.Exit(1)


async def _check(console: Console) -> bool:
    from rushhour import settings
    from rushhour.assemble import assemble

    well = True
    loaded = settings.load()
    console.print("[green]✓[/] settings")
    async with assemble(loaded) as system:
        for name, reach in system.checks.items():
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    console.print(f"[green]✓[/] {name} [dim]{escape(await reach())}[/]", soft_wrap=True)
            except RushhourError as cause:
                well = False
                console.print(f"[red]✗ {name}[/] {escape(str(cause))}", soft_wrap=True)
            except TimeoutError:
                well = False
                console.print(f"[red]✗ {name}[/] no answer within {_PATIENCE_S:.0f} s", soft_wrap=True)
    return well


def _show_settings(console: Console) -> None:
    from rushhour import settings

    table = Table("setting", "value", box=None, header_style="bold")
    for name, value in settings.listed(settings.load()):
        style = "" if name in os.environ else "dim"
        table.add_row(name, escape(value), style=style)
    console.print(table)
