"""An error of the provider's own, as JSON in its API's shape."""

from __future__ import annotations

import asyncio
from typing import Any

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.faults.contract import ANY, Serve


class JsonError:
    """A 5xx that the API itself answers: nothing was charged, and another attempt may succeed."""

    surfaces = ANY

    def __init__(self, status: int, message: str, kind: str, code: str | None, after_s: tuple[float, float]) -> None:
        self.about = f"{status} as JSON: {message}"
        self._status = status
        self._message = message
        self._kind = kind
        self._code = code
        self._after_s = after_s

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Answer with the error after a moment."""
        await asyncio.sleep(visit.draw.uniform("json_error.after", *self._after_s))
        return json_reply(self._body(visit.entry.surface), self._status)

    def _body(self, surface: str) -> dict[str, Any]:
        match surface:
            case "vectors":  # rpcStatus; 13 is INTERNAL, 14 UNAVAILABLE
                return {"code": 14 if self._status == 503 else 13, "message": self._message, "details": []}
            case "rerank":
                return {"message": self._message}
            case _:
                error = {"message": self._message, "type": self._kind, "param": None, "code": self._code}
                return {"error": error}
