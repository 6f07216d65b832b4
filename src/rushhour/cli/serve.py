"""`rushhour serve`: the RAG server."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from rushhour.cli.loop import run
from rushhour.errors import RushhourError

if TYPE_CHECKING:
    from rushhour.assemble import System
    from rushhour.settings import Settings


COMMENT_EVERY_S = 15.0
"""Seconds between signs of life on a silent stream: half of what the strictest proxies wait, and no more, since in a
rush hour a thousand streams are silent."""
GC_THRESHOLD = 50_000
"""New objects between two garbage collections; a busy server makes the default of 700 in a millisecond."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes any free one.", min=0, max=65_535, show_default=False)
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error or critical.")] = "info",
) -> None:
    """Serve the OpenAI-shaped API, the console page and the metrics.

    Example:  rushhour serve --port 8000

    Any OpenAI client then works with base_url=http://127.0.0.1:8000/v1 and a collection's name as the model.
    """
    from rushhour import settings

    chosen: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run(_serve(settings.load(server=chosen), log_level))


async def _serve(settings: Settings, log_level: str) -> None:
    from rushhour.assemble import assemble
    from rushhour.server.app import create_app
    from rushhour.server.options import ServerOptions
    from rushhour.server.run import serve as serve_app
    from rushhour.telemetry.logs import configure_logs
    from rushhour.telemetry.metrics import Metrics

    configure_logs(log_level)
    gc.freeze()  # what is loaded by now stays: collections need not look at it again
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    metrics = Metrics()
    server = settings.server
    async with assemble(settings, watch=metrics.emit) as system:
        options = ServerOptions(
            api_keys=server.api_keys,
            max_body_bytes=server.max_body_bytes,
            deadline_s=server.deadline_s,
            shutdown_grace_s=server.shutdown_grace_s,
            version=version("rushhour"),
            comment_every_s=COMMENT_EVERY_S,
        )

        async def readiness() -> Mapping[str, str]:
            return await _readiness(system)

        app = create_app(system.ask, system.catalog, options, metrics, readiness)
        await serve_app(app, server.host, server.port, server.shutdown_grace_s, on_ready=_announce)


async def _readiness(system: System) -> Mapping[str, str]:
    """Ask what is ours; providers are not asked, since their outage is no reason to take a replica away."""
    try:
        await system.catalog.collections()
    except RushhourError as cause:
        return {"catalog": str(cause)}
    return {"catalog": ""}


def _announce(url: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold green]rushhour[/] serves at [bold]{url}[/]")
    console.print(f"  console  {url}/\n  API      {url}/v1   [dim](any OpenAI client; the model is a collection)[/]")
    console.print(f"  metrics  {url}/metrics\n  [dim]Ctrl-C ends it; open answers are finished first.[/]")
