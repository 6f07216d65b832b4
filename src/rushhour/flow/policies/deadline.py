"""One deadline bounds everything inside, streams included (rule 4)."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from rushhour.errors import DeadlineExceeded
from rushhour.flow.call import Call, Hop
from rushhour.flow.stream import Stream


class Deadline:
    """End the work when the call's deadline passes; a stream that is handed out stays bounded by it."""

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Raise DeadlineExceeded at `call.deadline`; nothing is started when it has already passed."""
        if math.isinf(call.deadline):
            return await inner(request, call)
        loop = asyncio.get_running_loop()
        if call.deadline <= loop.time():
            raise DeadlineExceeded(_passed(call))
        timer = _Timer(call.deadline, loop)
        try:
            reply = await inner(request, call)
        except asyncio.CancelledError:
            if timer.stop():
                raise DeadlineExceeded(_passed(call)) from None
            raise
        except BaseException:
            timer.stop()
            raise
        timer.stop()
        if isinstance(reply, Stream):
            reply.deadline = min(reply.deadline, call.deadline)
        return reply


class _Timer:
    """Cancels the current task at a time: what `asyncio.timeout_at` does, at a third of its cost."""

    def __init__(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline bounds a task: call the hop from one")
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self._handle = loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def stop(self) -> bool:
        """Cancel nothing any more; tell whether a cancellation at hand is this timer's alone."""
        self._handle.cancel()
        return self._expired and self._task.uncancel() <= self._cancelling


def _passed(call: Call) -> str:
    where = f" while waiting for {call.hop}" if call.hop else ""
    return f"The request's deadline passed{where}; send it again with a longer timeout."
