"""The crowd: open-loop load from a process of its own (`python -m rushhour.rehearse.crowd`).

Open loop means that nobody waits for somebody else's answer before asking, and that latency counts from the
*scheduled* arrival; a closed loop would slow down together with the pipeline and hide what it measures. Each user
is a person with a connection of their own. The crowd prints one JSON line when it is ready, starts when it reads
a line on its input, and prints one line for each user who is done; `late_s` says how late this process itself
sent a question, so that a bottleneck of the measurement is visible.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from rushhour.rehearse.judge import Outcome, error_kind, judge_answer, judge_status
from rushhour.rehearse.visits import Visit, read_visits

_DATA = b"data:"
_DONE = b"[DONE]"


class Visited(msgspec.Struct, frozen=True):
    """How one visit ended. `done_s` and `first_s` (the first word) are seconds from the scheduled arrival `at`."""

    user: int
    at: float
    late_s: float
    done_s: float
    outcome: Outcome
    kind: str = ""
    first_s: float | None = None
    status: int = 0


class Target(msgspec.Struct, frozen=True):
    """Where the crowd goes: an OpenAI-compatible base URL ending in /v1, a model, a key, and its patience (s).

    `at_once` bounds how many ask at the same time: None for a Monday, a few for a quiet Friday. `stream` asks for
    the answer word by word, as a chat window does.
    """

    base_url: str
    model: str
    api_key: str
    patience_s: float
    at_once: int | None = None
    stream: bool = True


class _Truncated(Exception):
    """The reply ended without a finish reason, or its stream without [DONE]."""


class _ErrorInStream(Exception):
    """The pipeline reported a failure after its 200."""


async def visit_all(target: Target, visits: list[Visit], report: Callable[[Visited], None]) -> None:
    """Send every visitor at the scheduled time and report each one's end; returns when all are done."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    seats = asyncio.Semaphore(target.at_once) if target.at_once else None
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    unbounded = aiohttp.ClientTimeout(total=None, sock_connect=None)
    headers = {"authorization": f"Bearer {target.api_key}"}
    async with (
        aiohttp.ClientSession(connector=connector, timeout=unbounded, headers=headers) as session,
        asyncio.TaskGroup() as crowd,
    ):

        async def arrive(visit: Visit) -> None:
            if seats is None:
                report(await _visit(session, target, visit, start + visit.at))
                return
            async with seats:
                report(await _visit(session, target, visit, loop.time()))

        for visit in visits:
            await asyncio.sleep(start + visit.at - loop.time())
            crowd.create_task(arrive(visit))


async def _visit(session: aiohttp.ClientSession, target: Target, visit: Visit, due: float) -> Visited:
    loop = asyncio.get_running_loop()
    late = loop.time() - due
    reply = _Reply(visit.gold)
    try:
        async with asyncio.timeout_at(due + target.patience_s):
            outcome, kind = await reply.receive(session, target, visit.question)
    except TimeoutError:
        outcome, kind = Outcome.FAILED, "gave_up"
    except (_Truncated, aiohttp.ClientPayloadError):
        outcome, kind = Outcome.FAILED, "truncated_stream"
    except _ErrorInStream as cause:
        outcome, kind = Outcome.FAILED, str(cause)
    except aiohttp.ClientConnectorError:
        outcome, kind = Outcome.FAILED, "connection_refused"
    except (aiohttp.ClientError, OSError):
        outcome, kind = Outcome.FAILED, "connection_reset"
    first = None if math.isnan(reply.first_at) else round(reply.first_at - due, 4)
    done = round(loop.time() - due, 4)
    return Visited(visit.user, visit.at, round(late, 4), done, outcome, kind, first, reply.status)


class _Reply:
    """One chat completion, streamed or whole, as a chat window would read it."""

    def __init__(self, gold: str) -> None:
        self._gold = gold
        self.status = 0
        self.first_at = math.nan

    async def receive(self, session: aiohttp.ClientSession, target: Target, question: str) -> tuple[Outcome, str]:
        body = {
            "model": target.model,
            "messages": [{"role": "user", "content": question}],
            "stream": target.stream,
        }
        async with session.post(f"{target.base_url}/chat/completions", json=body) as response:
            self.status = response.status
            if response.status != 200:
                refusal = _decode(await response.read())
                return judge_status(response.status, {k.lower(): v for k, v in response.headers.items()}, refusal)
            text = await (self._read_stream(response) if target.stream else self._read_whole(response))
            return judge_answer(text, self._gold), ""

    async def _read_whole(self, response: aiohttp.ClientResponse) -> str:
        try:
            choice = _decode(await response.read())["choices"][0]
            finished, text = choice["finish_reason"], choice["message"]["content"]
        except (TypeError, KeyError, IndexError):
            raise _Truncated from None
        if finished is None:
            raise _Truncated
        self.first_at = asyncio.get_running_loop().time()
        return str(text)

    async def _read_stream(self, response: aiohttp.ClientResponse) -> str:
        loop = asyncio.get_running_loop()
        text: list[str] = []
        finished = False
        async for data in _events(response):
            if data == _DONE:
                if not finished:
                    break
                return "".join(text)
            chunk = _decode(data)
            if kind := error_kind(chunk):
                raise _ErrorInStream(kind)
            for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
                if piece := (choice.get("delta") or {}).get("content"):
                    if not text:
                        self.first_at = loop.time()
                    text.append(piece)
                finished = finished or choice.get("finish_reason") is not None
        raise _Truncated


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event; comments are skipped, lines may be of any length."""
    rest = b""
    async for received in response.content.iter_any():
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            if line.startswith(_DATA):
                yield line[len(_DATA) :].strip()


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None


async def _main(target: Target, plan: Path) -> None:
    visits = await asyncio.to_thread(read_visits, plan)
    encode = msgspec.json.Encoder().encode

    def say(line: Any) -> None:
        sys.stdout.buffer.write(encode(line) + b"\n")
        sys.stdout.buffer.flush()

    say({"ready": True})
    if await asyncio.to_thread(sys.stdin.readline):  # nothing to read means that whoever started us is gone
        await visit_all(target, visits, say)


def main() -> None:
    """Read where to go and the plan's file from the command line, and go."""
    arguments = argparse.ArgumentParser(prog="python -m rushhour.rehearse.crowd", description=main.__doc__)
    arguments.add_argument("--base-url", required=True, help="ends in /v1")
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--api-key", default="crowd")
    arguments.add_argument("--patience", type=float, default=60.0, help="seconds until a user gives up")
    arguments.add_argument("--at-once", type=int, default=None, help="at most so many users at a time")
    arguments.add_argument("--whole", action="store_true", help="ask for whole answers instead of streams")
    arguments.add_argument("--plan", type=Path, required=True, help="a file written by write_visits")
    given = arguments.parse_args()
    target = Target(given.base_url, given.model, given.api_key, given.patience, given.at_once, not given.whole)
    asyncio.run(_main(target, given.plan))


if __name__ == "__main__":
    main()
