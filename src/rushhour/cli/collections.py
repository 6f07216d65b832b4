"""`rushhour collections`: what can be asked, what is in it, and dropping it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rushhour.cli.loop import run
from rushhour.cli.words import age, count
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call

if TYPE_CHECKING:
    from rushhour.catalog.contract import Collection, File
    from rushhour.rag.jobs.jobs import Dropped

collections = typer.Typer(rich_markup_mode="rich")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As rushhour collections lists it.", show_default=False)]


@collections.callback(invoke_without_command=True)
def list_collections(context: typer.Context) -> None:
    """List the collections; see what is in one, or drop it.

    Examples:
      rushhour collections

      rushhour collections show handbook

      rushhour collections drop handbook
    """
    if context.invoked_subcommand is None:
        _show_all(run(_all()), Console(highlight=False))


@collections.command()
def show(
    name: Name,
    most: Annotated[int, typer.Option("--limit", help="How many files are listed; 0 lists all.", min=0)] = 50,
) -> None:
    """Say what a collection holds: its embedder, and its files with their sizes.

    Example:  rushhour collections show handbook --limit 0
    """
    collection, files = run(_one(name))
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(collection.name)}[/]: {_held(collection)}, embedded with "
        f"{escape(collection.embedder)}, version {collection.version}",
        soft_wrap=True,
    )
    table = Table("file", "title", box=None, header_style="bold")
    for title in ("chunks", "bytes", "updated"):
        table.add_column(title, justify="right")
    shown = files[: most or None]
    for file in shown:
        table.add_row(
            escape(file.name), escape(file.title), str(file.chunks), f"{file.bytes:,}", f"{age(file.updated)} ago"
        )
    console.print(table)
    if len(files) > len(shown):
        console.print(f"[dim]… and {len(files) - len(shown)} more; --limit 0 lists all[/]")


@collections.command()
def drop(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a collection: its files, chunks, vectors and jobs. The documents themselves are not touched.

    Example:  rushhour collections drop handbook --yes
    """
    console = Console(highlight=False)
    if not yes:
        collection, _ = run(_one(name))
        if not sys.stdin.isatty():
            raise InvalidRequest(f"Nobody is here to be asked whether to drop {name!r}: say --yes if you are sure.")
        typer.confirm(f"Drop {name} with {_held(collection)}?", abort=True)
    dropped = run(_drop(name))
    console.print(f"[bold]{escape(name)}[/] is dropped: {_held(dropped)}")


def _held(what: Collection | Dropped) -> str:
    return f"{count(what.files, 'file')}, {count(what.chunks, 'chunk')}"


async def _all() -> list[Collection]:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        return await system.catalog.collections()


async def _one(name: str) -> tuple[Collection, list[File]]:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        return await system.catalog.collection(name), await system.catalog.files(name)


async def _drop(name: str) -> Dropped:
    from rushhour import settings
    from rushhour.assemble import assemble

    async with assemble(settings.load()) as system:
        return await system.jobs.drop(name, Call("shell"))


def _show_all(listed: list[Collection], console: Console) -> None:
    if not listed:
        console.print("There are no collections. Make one:  [bold]rushhour ingest PATH… --collection NAME[/]")
        return
    table = Table("name", box=None, header_style="bold")
    for title in ("files", "chunks"):
        table.add_column(title, justify="right")
    table.add_column("embedder")
    for title in ("version", "updated"):
        table.add_column(title, justify="right")
    for one in listed:
        numbers = (
            f"{one.files:,}",
            f"{one.chunks:,}",
            escape(one.embedder),
            str(one.version),
            f"{age(one.updated)} ago",
        )
        table.add_row(escape(one.name), *numbers)
    console.print(table)
