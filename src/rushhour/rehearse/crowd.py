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
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec

from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.leash import hold, read_line
from rushhour.rehearse.reply import ErrorInStream, Reply, Target, Truncated
from rushhour.rehearse.visits import Visit, read_visits

LONGEST_ABSENCE_S = 600.0
"""Nobody comes again who is told to stay away for longer."""


class Visited(msgspec.Struct, frozen=True):
    """How one visit ended. `done_s` and `first_s` (the first word) are seconds from the scheduled arrival `at`.

    Who was refused honestly has `refused_s`, when that was, and `advised_s`, how long to stay away; whoever then
    `returned` is told by how the second visit ended. `degraded` is what the answer itself said it lacks.
    """

    user: int
    at: float
    late_s: float
    done_s: float
    outcome: Outcome
    kind: str = ""
    first_s: float | None = None
    status: int = 0
    tenant: str = ""
    refused_s: float | None = None
    advised_s: float | None = None
    returned: bool = False
    degraded: tuple[str, ...] = ()


class Told(Protocol):
    """What a reply tells of itself, as `rushhour.rehearse.reply.Reply` does."""

    first_at: float
    status: int
    advised: float | None
    degraded: tuple[str, ...]


async def pay_visit(
    visit: Visit,
    due: float,
    obeys: bool,
    ask: Callable[[float], Awaitable[tuple[Told, Outcome, str]]],
    report: Callable[[Visited], None],
) -> None:
    """Ask and, refused honestly by somebody who `obeys`, come again once; `ask` is told when patience begins."""
    loop = asyncio.get_running_loop()
    late = loop.time() - due
    reply, outcome, kind = await ask(due)
    refused, advised, returned = None, reply.advised, False
    if outcome is Outcome.REFUSED and advised is not None:
        refused = round(loop.time() - due, 4)
        if obeys and advised <= LONGEST_ABSENCE_S:
            await asyncio.sleep(advised)
            returned = True
            reply, outcome, kind = await ask(loop.time())
    visited = Visited(
        user=visit.user,
        at=visit.at,
        late_s=round(late, 4),
        done_s=round(loop.time() - due, 4),
        outcome=outcome,
        kind=kind,
        first_s=None if math.isnan(reply.first_at) else round(reply.first_at - due, 4),
        status=reply.status,
        tenant=visit.tenant,
        refused_s=refused,
        advised_s=None if refused is None else advised,
        returned=returned,
        degraded=reply.degraded,
    )
    report(visited)


async def visit_all(target: Target, visits: list[Visit], report: Callable[[Visited], None]) -> None:
    """Send every visitor at the scheduled time and report each one's end; returns when all are done."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    seats = asyncio.Semaphore(target.at_once) if target.at_once else None
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    unbounded = aiohttp.ClientTimeout(total=None, sock_connect=None)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=unbounded) as session,
        asyncio.TaskGroup() as crowd,
    ):

        async def arrive(visit: Visit) -> None:
            ask = partial(_ask, session, target, visit)
            if seats is None:
                await pay_visit(visit, start + visit.at, target.obeys, ask, report)
                return
            async with seats:
                await pay_visit(visit, loop.time(), target.obeys, ask, report)

        for visit in visits:
            await asyncio.sleep(start + visit.at - loop.time())
            crowd.create_task(arrive(visit))


async def _ask(session: aiohttp.ClientSession, target: Target, visit: Visit, due: float) -> tuple[Reply, Outcome, str]:
    reply = Reply(visit)
    try:
        async with asyncio.timeout_at(due + target.patience_s):
            outcome, kind = await reply.receive(session, target)
    except TimeoutError:
        outcome, kind = Outcome.FAILED, "gave_up"
    except (Truncated, aiohttp.ClientPayloadError):
        outcome, kind = Outcome.FAILED, "truncated_stream"
    except ErrorInStream as cause:
        outcome = Outcome.FAILED if reply.advised is None else Outcome.REFUSED
        kind = str(cause)
    except aiohttp.ClientConnectorError:
        outcome, kind = Outcome.FAILED, "connection_refused"
    except (aiohttp.ClientError, OSError):
        outcome, kind = Outcome.FAILED, "connection_reset"
    return reply, outcome, kind


async def _main(target: Target, plan: Path) -> None:
    visits = await asyncio.to_thread(read_visits, plan)
    encode = msgspec.json.Encoder().encode

    def say(line: Any) -> None:
        sys.stdout.buffer.write(encode(line) + b"\n")
        sys.stdout.buffer.flush()

    say({"ready": True})
    if await asyncio.to_thread(read_line):  # nothing to read means that whoever started us is gone
        hold()
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
    arguments.add_argument("--stubborn", action="store_true", help="nobody comes again after a refusal")
    arguments.add_argument("--plan", type=Path, required=True, help="a file written by write_visits")
    given = arguments.parse_args()
    target = Target(
        base_url=given.base_url,
        model=given.model,
        api_key=given.api_key,
        patience_s=given.patience,
        at_once=given.at_once,
        stream=not given.whole,
        obeys=not given.stubborn,
    )
    asyncio.run(_main(target, given.plan))


if __name__ == "__main__":
    main()
