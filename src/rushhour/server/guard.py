"""Work for a client, for as long as there is somebody to work for.

Used as `async with Guard(…):`, like `asyncio.timeout`: what it surrounds is cancelled when the client hangs up, when
the shutdown's grace is over, or when the time is up, and the block ends with ClientGone, ShuttingDown or
DeadlineExceeded. So a queued question leaves its queue, and a stream returns its permits, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from starlette.types import Receive

from rushhour.errors import DeadlineExceeded
from rushhour.server.drain import Drain
from rushhour.server.failures import ClientGone, ShuttingDown

SLACK_S = 1.0
"""The engine itself keeps the deadline and says more about it; the guard only catches what it cannot see: a client
that reads too slowly."""


class Guard:
    """Interrupts the surrounded work of the current task; `deadline` is in event-loop seconds.

    The request's body must have been read: from then on `receive` only tells of the hang-up.
    """

    def __init__(self, receive: Receive, drain: Drain, deadline: float) -> None:
        self._receive = receive
        self._drain = drain
        self._deadline = deadline
        self._cause: Exception | None = None

    async def __aenter__(self) -> Guard:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Guard guards a task: use it inside one")
        loop = asyncio.get_running_loop()
        self._task = task
        self._cancelling = task.cancelling()
        self._watcher = loop.create_task(self._watch_client())
        self._timer = loop.call_at(self._deadline + SLACK_S, self._out_of_time)
        self._drain.enter(self._shut_down)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drain.leave(self._shut_down)
        self._timer.cancel()
        self._watcher.cancel()
        if self._cause is None:
            return
        if error is None:  # interrupted after the last wait of the block: the cancellation is still to come
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            self._task.uncancel()
        elif self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise self._cause from None

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._interrupt(ClientGone())

    def _out_of_time(self) -> None:
        self._interrupt(DeadlineExceeded("The deadline passed before the answer could be sent."))

    def _shut_down(self) -> None:
        self._interrupt(ShuttingDown("The server is shutting down and could not finish this answer.", retry_after=1.0))

    def _interrupt(self, cause: Exception) -> None:
        if self._cause is None:
            self._cause = cause
            self._task.cancel()
