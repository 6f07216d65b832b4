"""`rushhour ask`: one question, the answer as it is written, and the sources it cites."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rushhour.catalog.contract import Catalog
from rushhour.cli.loop import run
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call, Event
from rushhour.flow.policies.fallback import Degraded
from rushhour.rag.contract import Answer, Delta, Question
from rushhour.rag.retrieval.filter_text import parse_filters

_EXCERPT = 160


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.", show_default=False)],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Which documents to ask [dim](if there are several)[/].")
    ] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="Only what passes: page>=3, file=a.md, lang=en|de, or JSON [dim](repeatable)[/]."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds you are willing to wait.", min=0.1)] = 120.0,
) -> None:
    """Ask a collection; print the answer as it is written, then its sources.

    Example:  rushhour ask "what does the with statement do?" --collection python-manual
    """
    run(_ask(question, collection, filters or [], timeout, Console(highlight=False)))


async def _ask(question: str, collection: str, filters: list[str], timeout: float, console: Console) -> None:
    from rushhour import settings
    from rushhour.assemble import assemble

    wanted = parse_filters(filters)
    degraded: dict[str, str] = {}

    def note(event: Event) -> None:
        if isinstance(event, Degraded):
            degraded[event.label] = str(event.cause)

    async with assemble(settings.load()) as system:
        name = collection or await _only_collection(system.catalog)
        deadline = asyncio.get_running_loop().time() + timeout
        asked = Question(name, question, filters=wanted)
        async with await system.ask(asked, Call("shell", deadline, emit=note)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Delta):
                    console.print(escape(piece.text), end="", soft_wrap=True)
                elif isinstance(piece, Answer):
                    _show_sources(piece, console)
    for label, why in degraded.items():
        console.print(f"\n[yellow]degraded: {label}[/] [dim]{escape(why)}[/]")


async def _only_collection(catalog: Catalog) -> str:
    collections = await catalog.collections()
    if len(collections) == 1:
        return collections[0].name
    if not collections:
        raise InvalidRequest("There is no collection yet. Make one:  rushhour ingest PATH… --collection NAME")
    names = ", ".join(one.name for one in collections)
    raise InvalidRequest(f"There are several collections; name one with --collection: {names}")


def _show_sources(answer: Answer, console: Console) -> None:
    cited = {citation.number: citation.passage for citation in answer.citations}
    console.print("\n")
    if not cited:
        console.print("[dim]No source is cited.[/]")
    for number, passage in sorted(cited.items()):
        page = f", page {passage.page}" if passage.page is not None else ""
        heading = f" > {passage.heading}" if passage.heading and passage.heading != passage.title else ""
        console.print(f"[bold cyan]\\[{number}][/] [bold]{escape(passage.title)}[/]{escape(heading)}{page}")
        excerpt = " ".join(passage.text.split())[:_EXCERPT]
        console.print(f"    [dim]{escape(passage.source)}[/]\n    [dim]{escape(excerpt)}…[/]", soft_wrap=True)
    cost = answer.receipt.get("cost_usd", 0)
    spent = f", ${cost:.6f}" if cost else ""
    console.print(f"\n[dim]{answer.model}: {len(answer.passages)} passages read, {len(cited)} cited{spent}[/]")
