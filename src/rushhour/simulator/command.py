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
from rushhour.simulator.faults import FAULTS
from rushhour.simulator.faults.windows import span
from rushhour.simulator.limiter import NO_LIMIT
from rushhour.simulator.profile_files import describe, load_profile, shipped, shipped_faults
from rushhour.simulator.profiles import ChatProfile, EmbeddingsProfile, Profile
from rushhour.simulator.server import Simulator

_FEW_FAULTS = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    host: str = "127.0.0.1"
    port: int = 8100
    profile: str = "monday"
    seed: int = 1
    overrides: Sequence[str] = ()
    as_json: bool = False
    faults: Sequence[str] = ()


def run(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status, 2 where it cannot start."""
    try:
        profile = load_profile(options.profile, options.overrides, options.faults)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options, profile))
    except SimulatorError as wrong:
        Console(stderr=True).print(
            f"[bold red]Cannot start the simulator.[/] {escape(str(wrong))}", highlight=False, soft_wrap=True
        )
        return 2
    return 0


def show_list() -> None:
    """Print the shipped profiles and fault files, and every fault, with a line about each."""
    console = Console(soft_wrap=True, highlight=False)
    for title, shelf, names in (
        ("Profiles (--profile NAME)", "profiles", shipped()),
        ("Fault files (--faults NAME)", "fault_files", shipped_faults()),
    ):
        _print_lines(console, title, {name: describe(shelf, name) for name in names})
    _print_lines(
        console,
        "Faults (--set chat.faults.NAME=0.01, or POST /_sim/faults)",
        {name: fault.about for name, fault in FAULTS.items()},
    )


def _print_lines(console: Console, title: str, lines: Mapping[str, str]) -> None:
    console.print(f"[bold]{title}[/]")
    width = max(map(len, lines))
    for name, about in lines.items():
        console.print(f"  {name:<{width}}  {escape(about)}")
    console.print()


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
    vectors, rerank = profile.vectors, profile.rerank
    per_second = f"{vectors.query_per_s} queries/s and {vectors.upsert_per_s} upserts/s a namespace"
    for surface, api, path, limits in (
        ("embeddings", "Embeddings", "POST /v1/embeddings", _per_minute(profile.embeddings)),
        ("chat", "Chat", "POST /v1/chat/completions\nPOST /v1/responses", _per_minute(profile.chat)),
        ("vectors", "Pinecone", "POST /query\nPOST /vectors/upsert …", per_second),
        ("rerank", "Reranker", "POST /v2/rerank\nPOST /rerank", f"{rerank.rpm:,} RPM"),
    ):
        table.add_row(api, path, limits, _failing(profile, surface))
    return table


def _per_minute(part: ChatProfile | EmbeddingsProfile) -> str:
    limits = [f"{limit:,} {unit}" for limit, unit in ((part.rpm, "RPM"), (part.tpm, "TPM")) if limit < NO_LIMIT]
    lines = [f"{part.latency.slots} at a time, the others wait"] if part.latency.slots is not None else []
    if limits:
        ramp = ", no steep ramp" if part.ramp is not None else ""
        lines.append(f"{', '.join(limits)},\n{part.burst_s:g} s of it at once{ramp}")
    return "\n".join(lines) or "none"


def _failing(profile: Profile, surface: str) -> str:
    shares = getattr(profile, surface).faults
    lines = [f"{name} {share:.1%}" for name, share in shares.items()]
    if len(lines) > _FEW_FAULTS:
        lines = [f"{len(shares)} kinds, {sum(shares.values()):.1%} of calls"]
    lines += [f"{one.kind} {span(one)}" for one in profile.outages if one.covers(surface)]
    lines += [f"{one.factor:g} times slower {span(one)}" for one in profile.brownouts if one.covers(surface)]
    return "\n".join(lines) or "none"


def _advice(url: str) -> str:
    return (
        "\nPoint an app at it (any key, any model name):\n"
        f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=any\n"
        f"  export RUSHHOUR_EMBED__PROVIDER=openai RUSHHOUR_EMBED__BASE_URL={url}/v1\n"
        f"  export RUSHHOUR_CHAT__PROVIDER=openai RUSHHOUR_CHAT__BASE_URL={url}/v1\n"
        f"  export RUSHHOUR_VECTORS__PROVIDER=pinecone RUSHHOUR_VECTORS__BASE_URL={url}\n"
        "\nMake something fail now, and see how your app took it:\n"
        f'  curl {url}/_sim/faults -d \'{{"surface": "chat", "fault": "reset", "count": 5}}\'\n'
        f"  curl {url}/_sim/verdict\n"
        f"What your app did: curl {url}/_sim/state · begin anew: curl -X POST {url}/_sim/reset · Ctrl-C stops."
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it exists: a crowd needs its speed, and nothing else here depends on it."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
