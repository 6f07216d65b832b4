"""How much the simulated providers can take: requests for each second of the simulator's CPU, kind by kind.

The simulator runs in a process of its own, as in a rehearsal, with limits that nobody reaches and hardly any latency.
A crowd of connections that are kept open asks as fast as it is answered. What is measured is the CPU that the simulator
used, in the process's own account, so that the crowd, which needs the other core, plays no part: at 100 % of one core
it would answer as many requests a second as the table says, and it is the bottleneck of a rehearsal that asks more.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import psutil

from benchmarks.children import module, running
from benchmarks.report import Column, Report, arguments

PROMISED = 3_000.0
"""Requests a second of CPU, for the calls whose replies are one body."""
CONNECTIONS = 64
FEWEST = 1_000
NAMESPACE = "benchmark"
DIMENSIONS = 512
RECORDS = 500
ANSWER_TOKENS = 100
PROMPT = (
    "Passages:\n\n" + "The with statement wraps the execution of a block. " * 60 + "\n\nQuestion: what does it wrap?"
)
QUICK = (
    "chat.rpm=100000000", "chat.tpm=1000000000000", "chat.latency.median_s=0.001", "chat.tokens_per_s=[20000,20001]",
    "embeddings.rpm=100000000", "embeddings.tpm=1000000000000", "embeddings.latency.median_s=0.001",
    "vectors.query_per_s=1000000", "vectors.query_units_per_s=1000000", "vectors.latency.median_s=0.001",
    "chat.latency.slow_share=0", "embeddings.latency.slow_share=0", "vectors.latency.slow_share=0",
    "chat.faults={}", "embeddings.faults={}", "vectors.faults={}",
)  # fmt: skip

_encode = msgspec.json.Encoder().encode

COLUMNS = (
    Column("request", "request"),
    Column("requests a CPU second", "a_cpu_second", ",.0f"),
    Column("CPU a request (ms)", "cpu_ms", ".3f"),
    Column("requests a second, by the clock", "a_second", ",.0f"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: where it goes, and what the n-th one says; a stream is read to its end."""

    name: str
    path: str
    body: Callable[[int], Mapping[str, Any]]
    status: int = 200
    counts: bool = True


def _chat(number: int, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"{PROMPT} {number}"}]
    return {"model": "gpt-4o-mini", "messages": messages, "max_tokens": ANSWER_TOKENS, "stream": stream}


def _query(number: int) -> dict[str, Any]:
    vector = [0.0] * DIMENSIONS
    vector[number % DIMENSIONS] = 1.0
    return {"namespace": NAMESPACE, "vector": vector, "topK": 10, "includeMetadata": False}


KINDS = (
    Kind(
        "embed one text", "/v1/embeddings",
        lambda number: {"model": "text-embedding-3-small", "input": [f"text {number}"], "encoding_format": "base64"},
    ),
    Kind("query 500 vectors", "/query", _query),
    Kind("chat, one body", "/v1/chat/completions", lambda number: _chat(number, stream=False)),
    Kind(
        "chat, refused as malformed", "/v1/chat/completions",
        lambda number: {**_chat(number, stream=False), "max_tokens": 0}, 400,
    ),
    Kind("chat, streamed", "/v1/chat/completions", lambda number: _chat(number, stream=True), counts=False),
)  # fmt: skip


def main() -> None:
    """Run it with the number of requests asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=8_000, help="of each kind")
    given = parser.parse_args()
    if given.requests < FEWEST:
        parser.error(f"--requests {given.requests}: ask for at least {FEWEST:,}; the CPU's account ticks every 10 ms.")
    report = Report("simulator")
    asyncio.run(measure(report, given))
    report.finish(given.json)


async def measure(report: Report, given: argparse.Namespace) -> None:
    """Ask for each kind in turn."""
    sets = [part for told in QUICK for part in ("--set", told)]
    command = module("rushhour.simulator", "--port", "0", "--json", *sets)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with running("The simulator", command) as child, aiohttp.ClientSession(connector=connector) as session:
        url = (await child.said(30.0))["url"]
        process = psutil.Process(child.pid)
        await _fill(session, url)
        rows = []
        for kind in KINDS:
            await _ask(session, url, kind, given.requests // 10)  # warm
            rows.append(await _measured(session, url, kind, given.requests, process))
    report.table(f"{given.requests:,} requests of each kind over {CONNECTIONS} connections", COLUMNS, rows)
    slowest = min(float(row[1] or 0.0) for row, kind in zip(rows, KINDS, strict=True) if kind.counts)
    report.at_least(
        "requests a CPU second, of the slowest kind that is one body", slowest, PROMISED, ",.0f", clock=True
    )
    report.note(
        "Words of a streamed answer come together here, since they come at once. At a model's own speed each is sent "
        "alone, and an answer costs as much more as it has words."
    )


async def _measured(
    session: aiohttp.ClientSession, url: str, kind: Kind, requests: int, process: psutil.Process
) -> tuple[str | float | None, ...]:
    before, begun = process.cpu_times(), time.perf_counter()
    await _ask(session, url, kind, requests)
    took, after = time.perf_counter() - begun, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return kind.name, requests / cpu, cpu / requests * 1e3, requests / took


async def _ask(session: aiohttp.ClientSession, url: str, kind: Kind, requests: int) -> None:
    """Make so many requests, as many at once as there are connections; raises AssertionError for a wrong status."""
    numbers = iter(range(requests))

    async def lane() -> None:
        for number in numbers:
            async with session.post(url + kind.path, data=_encode(kind.body(number)), headers=HEADERS) as reply:
                told = await reply.read()
            if reply.status != kind.status:
                raise AssertionError(f"{kind.name}: {reply.status} {told.decode()}")

    async with asyncio.TaskGroup() as lanes:
        for _ in range(CONNECTIONS):
            lanes.create_task(lane())


HEADERS = {"authorization": "Bearer benchmark", "api-key": "benchmark", "content-type": "application/json"}


async def _fill(session: aiohttp.ClientSession, url: str) -> None:
    """Write the vectors that are queried."""
    rows = [{"id": str(n), "values": _query(n)["vector"], "metadata": {"n": n}} for n in range(RECORDS)]
    for begin in range(0, RECORDS, 100):
        body = _encode({"namespace": NAMESPACE, "vectors": rows[begin : begin + 100]})
        async with session.post(f"{url}/vectors/upsert", data=body, headers=HEADERS) as reply:
            if reply.status != 200:
                raise AssertionError(f"upsert: {reply.status} {(await reply.read()).decode()}")


if __name__ == "__main__":
    main()
