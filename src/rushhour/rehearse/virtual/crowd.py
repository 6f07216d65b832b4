"""The crowd without sockets: users ask the engine itself, and are judged as over HTTP.

Open loop, as `rushhour.rehearse.crowd`: latency counts from the scheduled arrival. A load balancer deals the questions
to the replicas in turn.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

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

Judge = Callable[[str, str], Outcome]


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
            for visit in visits:
                due = start + visit.at
                if seats is not None:
                    crowd.create_task(take_seat(visit, seats))
                    continue
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                crowd.create_task(self._visit(visit, due))

    async def _visit(self, visit: Visit, due: float) -> None:
        self._report(await pay_visit(visit, due, self._scenario.obeys, partial(self._ask, visit)))

    async def _ask(self, visit: Visit, due: float) -> tuple[_Reply, Outcome, str]:
        now = self._loop.time()
        reply = _Reply(now)
        patience = self._scenario.patience_s
        try:
            with self._patience.until(due + patience):
                await self._receive(visit, Call(visit.tenant or ANONYMOUS, now + patience), reply)
        except TimeoutError:
            return reply, Outcome.FAILED, "gave_up"
        except RushhourError as error:
            return reply, *self._judge_error(error, reply)
        reply.status = 200
        return reply, self._judge("".join(reply.text), visit.gold), ""

    async def _receive(self, visit: Visit, call: Call, reply: _Reply) -> None:
        """Read an answer to its end, as a chat window or, in one piece, as a program does."""
        loop = self._loop
        question = Question(COLLECTION, visit.question)
        async with await next(self._systems).ask(question, call) as pieces:
            async for piece in pieces:
                if isinstance(piece, Delta):
                    if not reply.text and self._scenario.stream:
                        reply.first_at = loop.time()
                    reply.text.append(piece.text)
                elif isinstance(piece, Answer):
                    reply.degraded = tuple(piece.receipt.get("degraded", ()))
        if not self._scenario.stream:
            reply.first_at = loop.time()

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
