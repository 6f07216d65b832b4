"""Alive, ready, leaving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from rushhour.server.drain import Drain
from rushhour.server.health import READY_WITHIN_S, Health
from rushhour.telemetry.metrics import Metrics


def told(response: Response) -> tuple[int, Any]:
    """Return status and content."""
    return response.status_code, json.loads(bytes(response.body))


def health(dependencies: Mapping[str, str], seconds: float = 0, drain: Drain | None = None) -> Health:
    """Return a Health whose dependencies say this, after some seconds."""

    async def readiness() -> Mapping[str, str]:
        await asyncio.sleep(seconds)
        return dependencies

    return Health(readiness, Metrics(), drain or Drain(), "1.2.3")


async def test_ready() -> None:
    """Every dependency is listed."""
    assert told(await health({"catalog": "", "vectors": ""}).readyz()) == (
        200,
        {"status": "ready", "dependencies": {"catalog": "ready", "vectors": "ready"}},
    )


async def test_not_ready() -> None:
    """One that fails is enough, and says why."""
    status, content = told(await health({"catalog": "", "vectors": "refused"}).readyz())
    assert (status, content["dependencies"]["vectors"]) == (503, "refused")


async def test_a_dependency_that_hangs_is_not_ready() -> None:
    """The probe answers even when a dependency does not."""
    status, _ = told(await health({}, seconds=600).readyz())
    assert (status, asyncio.get_running_loop().time()) == (503, READY_WITHIN_S)


async def test_leaving() -> None:
    """On the way out the server is alive but not ready."""
    drain = Drain()
    leaving = health({"catalog": ""}, drain=drain)
    drain.begin()
    assert told(await leaving.readyz()) == (503, {"status": "shutting down", "open_answers": 0})
    assert told(await leaving.healthz()) == (200, {"status": "alive", "version": "1.2.3"})
