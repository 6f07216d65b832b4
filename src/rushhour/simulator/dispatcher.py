"""The way of every call: its surface, its line in the ledger, its place in the queue, its luck, and its service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rushhour.simulator.draws import Draws
from rushhour.simulator.exchange import Handler, Reply, Request, Surface, Visit
from rushhour.simulator.faults import FAULTS, pick
from rushhour.simulator.latency import SharedQueue
from rushhour.simulator.ledger import Entry, Ledger
from rushhour.simulator.openai_errors import error

_LONGEST_SHOWN_KEY = 20


@dataclass(slots=True)
class _Station:
    """A surface with what its calls share."""

    surface: Surface
    queue: SharedQueue
    draws: Draws


class Dispatcher:
    """Takes calls to their surfaces. Needs a running event loop, whose clock it goes by, but no socket."""

    def __init__(self, surfaces: Sequence[Surface], seed: int) -> None:
        self._stations = [
            _Station(surface, SharedQueue(surface.capacity), Draws(seed, surface.name)) for surface in surfaces
        ]
        self._routes: Mapping[tuple[str, str], tuple[_Station, Handler]] = {
            route: (station, handler)
            for station in self._stations
            for route, handler in station.surface.routes().items()
        }
        self._methods: dict[str, list[str]] = {}
        for method, path in self._routes:
            self._methods.setdefault(path, []).append(method)
        self.ledger = Ledger(_now())

    async def handle(self, request: Request) -> Reply:
        """Serve one call; whoever delivers the reply closes it."""
        place = self._routes.get((request.method, request.path))
        if place is None:
            return self._no_such_route(request)
        station, handler = place
        ledger, surface = self.ledger, station.surface
        fingerprint = hash((request.path, request.body))
        client = _client(request.headers)
        operation = request.path.rsplit("/", 1)[-1]
        entry = ledger.arrive(client, surface.name, operation, fingerprint, request.connection, _now())
        visit = Visit(request, entry, station.draws.next(), station.queue.enter())
        try:
            reply = await self._serve(surface, visit, handler)
        except BaseException:
            self._over(station, ledger, entry, 200, len(request.body), False, 0)
            raise
        reply.on_close = partial(self._over, station, ledger, entry, reply.status, len(request.body))
        return reply

    def reset(self, *, data: bool) -> None:
        """Begin anew: a fresh ledger, full buckets, the luck from its start; with `data`, nothing stored."""
        self.ledger = Ledger(_now())
        for station in self._stations:
            station.surface.reset(data=data)
            station.draws.restart()
            station.queue.forget_peak()

    def load(self) -> dict[str, Any]:
        """Return the calls in flight, now and at most, by surface."""
        return {
            station.surface.name: {"in_flight": station.queue.in_flight, "peak": station.queue.peak}
            for station in self._stations
        }

    async def _serve(self, surface: Surface, visit: Visit, handler: Handler) -> Reply:
        fault = pick(surface.faults, visit.draw)
        if fault is None:
            return await handler(visit)
        visit.entry.fault = fault
        return await FAULTS[fault].strike(visit, handler)

    def _no_such_route(self, request: Request) -> Reply:
        methods = self._methods.get(request.path)
        if methods:
            message = f"{request.path} takes {' or '.join(methods)}, not {request.method}."
            return error(405, message, headers={"allow": ", ".join(methods)})
        known = ", ".join(sorted(self._methods))
        message = f"Unknown request URL: {request.method} {request.path}. Simulated are: {known}."
        return error(404, message, code="unknown_url")

    @staticmethod
    def _over(
        station: _Station, ledger: Ledger, entry: Entry, status: int, received: int, delivered: bool, sent: int
    ) -> None:
        station.queue.leave()
        ledger.settle(entry, status, delivered=delivered, received=received, sent=sent)


def _client(headers: Mapping[str, str]) -> str:
    """Return who calls: by name, or by key; a key long enough to be a secret is shortened."""
    name = headers.get("x-sim-client")
    if name:
        return name
    key = headers.get("api-key") or headers.get("authorization", "").partition(" ")[2]
    if not key:
        return "anonymous"
    return key if len(key) <= _LONGEST_SHOWN_KEY else f"{key[:4]}…{key[-4:]}"


def _now() -> float:
    return asyncio.get_running_loop().time()
