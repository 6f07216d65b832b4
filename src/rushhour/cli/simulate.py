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
    faults: Annotated[
        list[str] | None,
        typer.Option("--faults", help="What goes wrong, laid over the profile; repeatable.", metavar="NAME|FILE.toml"),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the shipped profiles, fault files and faults.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable line when ready.")] = False,
) -> None:
    """Run simulated providers: OpenAI-shaped models, Pinecone-shaped vectors, a reranker; no keys, no cost.

    They limit, delay, fail and charge as the real ones do, and keep a ledger of what each client did.

    Examples:
      rushhour simulate --list

      rushhour simulate --profile openai-tier-1

      rushhour simulate --profile openai-tier-3 --faults flaky --seed 7

      rushhour simulate --profile vllm --faults brownout

      rushhour simulate --port 9000 --set chat.rpm=500 --set chat.burst_s=60

      rushhour simulate --set chat.faults.reset=0.05

      rushhour simulate --profile my-provider.toml --faults my-bad-day.toml

    Then, in another shell:
      OPENAI_BASE_URL=http://127.0.0.1:8100/v1 OPENAI_API_KEY=any python my_app.py

      curl http://127.0.0.1:8100/_sim/faults -d '{"surface": "chat", "fault": "reset", "count": 5}'

      curl http://127.0.0.1:8100/_sim/verdict
    """
    from rushhour.simulator.command import Options, run, show_list

    if listing:
        show_list()
        return
    raise typer.Exit(run(Options(host, port, profile, seed, overrides or [], as_json, faults or [])))
