"""`rushhour reindex`: a collection's vectors and lexical index, made anew from what the catalog knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rushhour.cli.following import bars
from rushhour.cli.loop import run
from rushhour.cli.words import count
from rushhour.flow.call import Call

if TYPE_CHECKING:
    from rushhour.rag.jobs.reindex import Reindexed


def reindex(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The collection.", show_default=False)],
) -> None:
    """Rebuild a collection's vectors and lexical index from its chunks, while it goes on answering.

    For a vector store that was lost, emptied or replaced by another. Vectors that were paid for before are not bought
    again.

    Example:  rushhour reindex handbook
    """
    console = Console(highlight=False)
    done, seconds = run(_reindex(name, console))
    strays = f", {count(done.strays, 'stray')} deleted" if done.strays else ""
    console.print(
        f"[bold]{escape(name)}[/]: {count(done.chunks, 'chunk')} indexed anew, {done.embedded:,} embedded, "
        f"{done.kept:,} vectors kept{strays}, in {seconds:.1f} s",
        soft_wrap=True,
    )


async def _reindex(name: str, console: Console) -> tuple[Reindexed, float]:
    from rushhour import settings
    from rushhour.assemble import assemble

    loop = asyncio.get_running_loop()
    async with assemble(settings.load()) as system:
        began = loop.time()
        with bars(console) as shown:
            bar = shown.add_task("chunks", total=None, file="")

            def follow(done: int, total: int) -> None:
                shown.update(bar, completed=done, total=total)

            done = await system.jobs.reindex(name, Call("shell"), follow)
        return done, loop.time() - began
