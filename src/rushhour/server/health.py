"""What the machinery round a server asks of it: is it alive, is it ready, what did it count."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.responses import Response

from rushhour.server.contract import Metrics, Readiness
from rushhour.server.drain import Drain

READY_WITHIN_S = 5.0


class Health:
    """`/healthz`, `/readyz` and `/metrics`; none of them asks for a key."""

    def __init__(self, readiness: Readiness, metrics: Metrics, drain: Drain, version: str) -> None:
        self._readiness = readiness
        self._metrics = metrics
        self._drain = drain
        self._version = version

    async def healthz(self) -> Response:
        """Say that the process is alive; a failing dependency does not change that."""
        return _status(200, "alive", {"version": self._version})

    async def readyz(self) -> Response:
        """Say whether questions can be answered now: 503 while a dependency fails or the server is leaving."""
        if self._drain.begun:
            return _status(503, "shutting down", {"open_answers": self._drain.open})
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                wrong = await self._readiness()
        except TimeoutError:
            reason = f"the dependencies did not answer within {READY_WITHIN_S:g} s"
            return _status(503, "not ready", {"reason": reason})
        told = {name: problem or "ready" for name, problem in wrong.items()}
        if any(wrong.values()):
            return _status(503, "not ready", {"dependencies": told})
        return _status(200, "ready", {"dependencies": told})

    async def metrics(self) -> Response:
        """Return the counters in Prometheus' format."""
        page, content_type = self._metrics.exposition()
        return Response(page, headers={"content-type": content_type})


def _status(code: int, status: str, more: dict[str, object]) -> Response:
    return Response(
        msgspec.json.encode({"status": status, **more}),
        status_code=code,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
