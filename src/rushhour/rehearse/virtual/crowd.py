"""The crowd without sockets: users ask the engine itself, and are judged as over HTTP.

Open loop, as `rushhour.rehearse.crowd`: latency counts from the scheduled arrival. A load balancer deals the questions
to the replicas in turn.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import msgspec

from rushhour.assemble import System
from rushhour.errors import RushhourError
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Delta, Question
from rushhour.rehearse.crowd import Visited, pay_visit
from rushhour.rehearse.judge import Outcome, advised_in, advised_wait, error_kind, judge_answer, judge_status
from rushhour.rehearse.pipelines import COLLECTION
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.virtual.patience import Patience
from rushhour.rehearse.visits import Visit
from rushhour.server.failures import failure
from rushhour.server.incoming import ANONYMOUS
from rushhour.server.options import ServerOptions

COMMIT_AFTER_S = ServerOptions().commit_after_s
"""When the server sends the headers of a stream: later than this no refusal can be told by its status."""

_AT_ONCE = 256
"""Visitors whose timers are set together: a sleep between each two of them would cost more than their arrival."""


class _Reply(msgspec.Struct):
    """One question's answer as it comes; `first_at` is the loop's time of the first word (NaN: there was none)."""

    asked_at: float
    text: list[str] = msgspec.field(default_factory=list)
    first_at: float = math.nan
    status: int = 0
    advised: float | None = None
    degraded: tuple[str, ...] = ()


class Crowd:
    """Sends visits to systems; `report` is told each one's end."""

    def __init__(self, systems: Sequence[System], scenario: Scenario, report: Callable[[Visited], None]) -> None:
        self._systems = cycle(systems)
        self._scenario = scenario
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._judged: dict[tuple[str, str], Outcome] = {}

    async def visit_all(self, visits: Sequence[Visit], at_once: int | None = None) -> None:
        """Send every visitor at the scheduled time, or `at_once` at a time; returns when all are done."""
        loop = self._loop
        start = loop.time()
        seats = asyncio.Semaphore(at_once) if at_once else None

        async def take_seat(visit: Visit, seats: asyncio.Semaphore) -> None:
            async with seats:
                await self._visit(visit, loop.time())

        async with asyncio.TaskGroup() as crowd:
            if seats is not None:
                for visit in visits:
                    crowd.create_task(take_seat(visit, seats))
                return

            for begin in range(0, len(visits), _AT_ONCE):
                await self._arrivals(visits[begin : begin + _AT_ONCE], start, crowd)

    async def _arrivals(self, visits: Sequence[Visit], start: float, crowd: asyncio.TaskGroup) -> None:
        """Let some come at their times; returns when the last of them has."""
        loop, all_here = self._loop, asyncio.Event()

        def arrive(visit: Visit, due: float) -> None:
            crowd.create_task(self._visit(visit, due))

        timers = [loop.call_at(due := start + visit.at, arrive, visit, due) for visit in visits]
        timers.append(loop.call_at(start + max(visit.at for visit in visits), all_here.set))
        try:
            await all_here.wait()
        finally:
            for timer in timers:
                timer.cancel()

    def _visit(self, visit: Visit, due: float) -> Coroutine[Any, Any, None]:
        return pay_visit(visit, due, self._scenario.obeys, partial(self._ask, visit), self._report)

    async def _ask(self, visit: Visit, due: float) -> tuple[_Reply, Outcome, str]:
        """Read an answer to its end, as a chat window or, in one piece, as a program does."""
        loop, stream = self._loop, self._scenario.stream
        now = loop.time()
        reply = _Reply(now)
        patience = self._scenario.patience_s
        call = Call(visit.tenant or ANONYMOUS, now + patience)
        try:
            with self._patience.until(due + patience):
                async with await next(self._systems).ask(Question(COLLECTION, visit.question), call) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Delta):
                            if stream and not reply.text:
                                reply.first_at = loop.time()
                            reply.text.append(piece.text)
                        elif isinstance(piece, Answer):
                            reply.degraded = tuple(piece.receipt.get("degraded", ()))
        except TimeoutError:
            return reply, Outcome.FAILED, "gave_up"
        except RushhourError as error:
            return reply, *self._judge_error(error, reply)
        if not stream:
            reply.first_at = loop.time()
        reply.status = 200
        return reply, self._judge("".join(reply.text), visit.gold), ""

    def _judge_error(self, error: RushhourError, reply: _Reply) -> tuple[Outcome, str]:
        """Judge what the server would have sent: a status, or an event of a stream that had begun."""
        told = failure(error, "")
        now = self._loop.time()
        body = msgspec.json.decode(told.body)
        if self._scenario.stream and (reply.text or now - reply.asked_at > COMMIT_AFTER_S):
            reply.status, reply.advised = 200, advised_in(body)
            return (Outcome.FAILED if reply.advised is None else Outcome.REFUSED), error_kind(body)
        headers = {name.decode(): value.decode() for name, value in told.headers}
        reply.status, reply.advised = told.status, advised_wait(headers)
        return judge_status(told.status, headers, body)

    def _judge(self, text: str, gold: str) -> Outcome:
        """Judge an answer; users who ask the same mostly get the same."""
        outcome = self._judged.get((text, gold))
        if outcome is None:
            outcome = self._judged[text, gold] = judge_answer(text, gold)
        return outcome
