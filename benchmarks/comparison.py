"""The same crowd at the same provider, with this stack and with what is usually written; over loopback HTTP.

A simulated provider (3,000 chat calls a minute enforced per second, one call in a hundred reset or answered by a bad
gateway) runs in a process of its own. Each contender streams the same answers from it, one contender after the other.
Answered means that the whole answer came; whatever else a caller sees is a surfaced error. The floor is the time in
which the provider admits that many calls; nobody is faster, except by failing some of them.

The contender with tenacity needs that package: see benchmarks/requirements.txt. It is left out where it is missing.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import uvloop
from openai import APIConnectionError, AsyncOpenAI, InternalServerError, OpenAIError, RateLimitError

from benchmarks.children import module, running
from benchmarks.policies import layers
from benchmarks.report import Column, Report, arguments
from rushhour.errors import RushhourError
from rushhour.flow.call import Call
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits
from rushhour.hops.aiohttp_transport import AiohttpTransport
from rushhour.hops.contract import ChatRequest, Message
from rushhour.hops.openai_chat import OpenAIChat

RPM = 3_000
PATIENCE_S = 120.0
SEMAPHORES = (50, 200)
"""How many calls may be open has to be guessed: the first happens to stay below the limit, the second does not."""
MAX_TOKENS = 60
MODEL = "any-model"
OURS = "this stack"

Ask = Callable[[str, int], Awaitable[bool]]
Contender = Callable[[str], AbstractAsyncContextManager[Ask]]


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Ask]:
    """Offer the policies round the aiohttp adapter."""
    transport = AiohttpTransport(f"{url}/v1", {"authorization": "Bearer any", "x-sim-client": OURS})
    policies = layers(Limits(RPM, None, 1.0), lambda _request: Cost())
    chat = policies.round(OpenAIChat(transport, MODEL))

    async def ask(question: str, number: int) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        request = ChatRequest((Message("user", question),), MAX_TOKENS)
        async with await chat(request, Call(f"tenant-{number % 10}", deadline)) as reply:
            finished = [delta.finish_reason async for delta in reply]
        return any(finished)

    try:
        yield ask
    finally:
        await transport.aclose()


def sdk(name: str, wrap: Callable[[Ask], Ask] | None = None, **options: Any) -> Contender:
    """Offer the official SDK with some options, and with something round it."""

    @asynccontextmanager
    async def offered(url: str) -> AsyncIterator[Ask]:
        headers = {"x-sim-client": name}
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", default_headers=headers, **options) as client:

            async def ask(question: str, _number: int) -> bool:
                stream = await client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": question}],
                    max_tokens=MAX_TOKENS,
                    stream=True,
                    timeout=PATIENCE_S,
                )
                finished = [piece.choices[0].finish_reason async for piece in stream if piece.choices]
                return any(finished)

            yield wrap(ask) if wrap else ask

    return offered


def with_tenacity(ask: Ask, at_once: int) -> Ask:
    """Retry as OpenAI's cookbook shows it, with a semaphore against too many at once."""
    tenacity = importlib.import_module("tenacity")
    places = asyncio.Semaphore(at_once)
    again: Ask = tenacity.retry(
        wait=tenacity.wait_random_exponential(min=1, max=60),
        stop=tenacity.stop_after_attempt(6),
        retry=tenacity.retry_if_exception_type((RateLimitError, APIConnectionError, InternalServerError)),
        reraise=True,
    )(ask)

    async def bounded(question: str, number: int) -> bool:
        async with places:
            return await again(question, number)

    return bounded


class Provider:
    """The simulator at `url`, and what its ledger says of each client."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def reset(self) -> None:
        """Fill every bucket and begin a new ledger."""
        async with self._session.post(f"{self.url}/_sim/reset") as response:
            response.raise_for_status()

    async def calls_of(self, client: str) -> tuple[int, int]:
        """Return how many chat calls a client made since, and how many of them were answered 429."""
        async with self._session.get(f"{self.url}/_sim/state") as response:
            state: dict[str, Any] = await response.json()
        chat = state["clients"][client]["surfaces"]["chat"]
        return chat["calls"], sum(chat["throttled"].values())


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender did."""

    name: str
    answered: int
    surfaced: Counter[str]
    makespan_s: float
    cpu_s: float
    provider_calls: int
    throttled: int


async def compete(name: str, contender: Contender, provider: Provider, calls: int, within_s: float) -> Result:
    """Send the crowd with one contender, against a provider that begins anew."""
    await provider.reset()
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    async with contender(provider.url) as ask:
        begun, cpu = loop.time(), time.process_time()
        outcomes = await asyncio.gather(
            *(_visit(ask, number, chance.uniform(0.0, within_s)) for number in range(calls))
        )
        makespan, cpu = loop.time() - begun, time.process_time() - cpu
    counted = Counter(outcomes)
    answered = counted.pop("", 0)
    sent, throttled = await provider.calls_of(name)
    return Result(name, answered, counted, makespan, cpu, sent, throttled)


async def _visit(ask: Ask, number: int, delay: float) -> str:
    """Return the name of what went wrong, or nothing."""
    await asyncio.sleep(delay)
    try:
        return "" if await ask(f"Question {number}: what does the with statement do?", number) else "Incomplete"
    except (RushhourError, OpenAIError) as wrong:
        return type(wrong).__name__


def contenders() -> dict[str, Contender]:
    """Return all that can run here, by name."""
    found: dict[str, Contender] = {OURS: ours}
    if importlib.util.find_spec("tenacity"):
        for places in SEMAPHORES:
            name = f"tenacity, {places} at once"
            found[name] = sdk(name, partial(with_tenacity, at_once=places), max_retries=0)
    found["SDK, its own retries"] = sdk("SDK, its own retries")
    found["SDK, retries off"] = sdk("SDK, retries off", max_retries=0)
    return found


async def contest(calls: int, within_s: float) -> list[Result]:
    """Run the provider, and one contender after the other."""
    options = ["--port=0", "--json", "--profile=monday", f"--set=chat.rpm={RPM}", "--set=chat.burst_s=1"]
    async with running("simulator", module("rushhour.simulator", *options)) as child:
        url = str((await child.said(30.0))["url"])
        async with aiohttp.ClientSession() as session:
            provider = Provider(url, session)
            field = contenders().items()
            return [await compete(name, contender, provider, calls, within_s) for name, contender in field]


def main() -> None:
    """Let them compete and report."""
    parser = arguments(__doc__)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--within", type=float, default=1.0, help="seconds within which all calls come")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(contest(given.calls, given.within))
    floor = max(given.calls / (RPM / 60) - 1, given.within)
    report = Report("comparison")
    _table(report, results, given.calls, floor)
    report.at_most("errors that this stack surfaced", given.calls - results[0].answered, 0)
    report.note(
        f"The floor is {floor:.1f} s: {given.calls} calls at {RPM / 60:.0f} a second after a burst of a second; the "
        "last answer then takes its own time to arrive."
    )
    if not importlib.util.find_spec("tenacity"):
        report.note("Left out: tenacity with a semaphore. To see it: pip install -r benchmarks/requirements.txt")
    report.finish(given.json)


def _table(report: Report, results: Sequence[Result], calls: int, floor: float) -> None:
    report.table(
        f"{calls} calls at once, {RPM:,} a minute allowed",
        (
            Column("Contender", "contender"),
            Column("ok", "answered", ",d"),
            Column("errors", "surfaced", ",d"),
            Column("which", "kinds"),
            Column("seconds", "makespan_s", ".1f"),
            Column("÷ floor", "makespan_over_floor", ".2f"),
            Column("CPU ms", "cpu_ms", ".2f"),
            Column("sent", "provider_calls", ",d"),
            Column("429s", "throttled", ",d"),
        ),
        [
            (
                one.name,
                one.answered,
                one.surfaced.total(),
                ", ".join(f"{kind} {count}" for kind, count in one.surfaced.most_common()) or "–",
                one.makespan_s,
                one.makespan_s / floor,
                one.cpu_s / calls * 1e3,
                one.provider_calls,
                one.throttled,
            )
            for one in results
        ],
    )


if __name__ == "__main__":
    main()
