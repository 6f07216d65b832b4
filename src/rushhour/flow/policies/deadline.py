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
        if call.deadline <= asyncio.get_running_loop().time():
            raise DeadlineExceeded(_passed(call))
        try:
            async with asyncio.timeout_at(call.deadline) as patience:
                reply = await inner(request, call)
        except TimeoutError:
            if not patience.expired():
                raise
            raise DeadlineExceeded(_passed(call)) from None
        if isinstance(reply, Stream):
            reply.deadline = min(reply.deadline, call.deadline)
        return reply


def _passed(call: Call) -> str:
    where = f" while waiting for {call.hop}" if call.hop else ""
    return f"The request's deadline passed{where}; send it again with a longer timeout."
