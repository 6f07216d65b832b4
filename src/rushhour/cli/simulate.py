"""`rushhour simulate`: the simulated providers on a local port, for any app to be pointed at."""

from __future__ import annotations

from typing import Annotated

import typer


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.", min=0, max=65535)] = 8100,
    profile: Annotated[
        str, typer.Option(help="Name of a shipped profile, or a TOML file.", metavar="NAME|FILE.toml")
    ] = "monday",
    seed: Annotated[int, typer.Option(help="The same seed gives the same latencies and faults.")] = 1,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of the profile; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable line when ready.")] = False,
) -> None:
    """Run simulated providers: OpenAI-shaped embeddings and chat, Pinecone-shaped vectors; no keys, no cost.

    They limit, delay, fail and charge as the real ones do, and keep a ledger of what each client did.

    Examples:
      rushhour simulate

      rushhour simulate --port 9000 --set chat.rpm=500 --set chat.burst_s=60

      rushhour simulate --set chat.faults.reset=0.05 --seed 7

      rushhour simulate --profile my-provider.toml

      OPENAI_BASE_URL=http://127.0.0.1:8100/v1 OPENAI_API_KEY=any python my_app.py

      curl http://127.0.0.1:8100/_sim/state
    """
    from rushhour.simulator.command import Options, run

    raise typer.Exit(run(Options(host, port, profile, seed, overrides or [], as_json)))
