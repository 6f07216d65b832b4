"""The simulator as a program: starts, says where it is, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rushhour.simulator.errors import SimulatorError
from rushhour.simulator.profiles import Profile, load_profile
from rushhour.simulator.server import Simulator


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    host: str = "127.0.0.1"
    port: int = 8100
    profile: str = "monday"
    seed: int = 1
    overrides: Sequence[str] = ()
    as_json: bool = False


def run(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status, 2 where it cannot start."""
    try:
        profile = load_profile(options.profile, options.overrides)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options, profile))
    except SimulatorError as wrong:
        Console(stderr=True).print(
            f"[bold red]Cannot start the simulator.[/] {escape(str(wrong))}", highlight=False, soft_wrap=True
        )
        return 2
    return 0


async def _serve(options: Options, profile: Profile) -> None:
    simulator = Simulator(profile, seed=options.seed)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await simulator.start(options.host, options.port)
    try:
        _announce(simulator, as_json=options.as_json)
        await stop.wait()
    finally:
        await simulator.stop()
    if not options.as_json:
        Console().print("Stopped.")


def _announce(simulator: Simulator, *, as_json: bool) -> None:
    if as_json:
        line = msgspec.json.encode({"ready": True, "url": simulator.url})
        sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()
        return
    console = Console()
    console.print(_table(simulator))
    console.print(_advice(simulator.url), highlight=False, soft_wrap=True)


def _table(simulator: Simulator) -> Table:
    profile = simulator.profile
    title = f"Simulated providers at {simulator.url} · profile {profile.name} · seed {simulator.seed}"
    table = Table("API", "Endpoint", "Limits", "Faults", title=title, title_justify="left")
    table.columns[1].no_wrap = True
    for name, path, part in (
        ("Embeddings", "POST /v1/embeddings", profile.embeddings),
        ("Chat", "POST /v1/chat/completions", profile.chat),
    ):
        limits = f"{part.rpm:,} RPM, {part.tpm:,} TPM, {part.burst_s:g} s of it at once"
        table.add_row(name, path, limits, _shares(part.faults))
    vectors = profile.vectors
    per_second = f"{vectors.query_per_s} queries/s and {vectors.upsert_per_s} upserts/s a namespace"
    table.add_row("Pinecone", "POST /query, /vectors/upsert, …", per_second, _shares(vectors.faults))
    table.add_row("Ledger", "GET /_sim/state", "none", "none")
    table.add_row("Begin anew", escape("POST /_sim/reset[?vectors=1]"), "none", "none")
    return table


def _shares(faults: Mapping[str, float]) -> str:
    return "\n".join(f"{name} {share:.1%}" for name, share in faults.items()) or "none"


def _advice(url: str) -> str:
    return (
        "\nPoint an app at it (any key, any model name):\n"
        f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=any\n"
        f"  export RUSHHOUR_EMBED__PROVIDER=openai RUSHHOUR_EMBED__BASE_URL={url}/v1\n"
        f"  export RUSHHOUR_CHAT__PROVIDER=openai RUSHHOUR_CHAT__BASE_URL={url}/v1\n"
        f"  export RUSHHOUR_VECTORS__PROVIDER=pinecone RUSHHOUR_VECTORS__BASE_URL={url}\n"
        f"What your app did: curl {url}/_sim/state · Ctrl-C stops."
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it exists: a crowd needs its speed, and nothing else here depends on it."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
