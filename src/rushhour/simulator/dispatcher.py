"""The way of every call: its surface, its line in the ledger, its luck, its place in the queue, and its service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from rushhour.simulator.draws import Draws
from rushhour.simulator.exchange import Handler, Reply, Request, Surface, Visit
from rushhour.simulator.faults import FAULTS
from rushhour.simulator.faults.weather import Weather
from rushhour.simulator.latency import LatencySpec, QueueFull, SharedQueue
from rushhour.simulator.ledger import Entry, Ledger
from rushhour.simulator.openai_errors import error
from rushhour.simulator.profiles import Profile

_LONGEST_SHOWN_KEY = 20
_FULL = "The server is busy: its queue is full. Please try again."


@dataclass(slots=True)
class _Station:
    """A surface with what its calls share."""

    surface: Surface
    queue: SharedQueue
    draws: Draws
    weather: Weather


class _Place(msgspec.Struct):
    """A call's place on its station: whether it stands in the queue, so that it leaves once."""

    station: _Station
    handler: Handler
    taken: bool = False

    def serve(self, visit: Visit) -> Awaitable[Reply]:
        """Serve a call properly, once it has its place in the queue."""
        queue = self.station.queue
        if queue.takes_turns:
            return self._in_turn(visit)
        visit.slowdown *= queue.enter()
        self.taken = True
        return self.handler(visit)

    async def _in_turn(self, visit: Visit) -> Reply:
        try:
            visit.slowdown *= await self.station.queue.turn()
        except QueueFull:
            return error(503, _FULL, "service_unavailable_error", code="server_is_overloaded")
        self.taken = True
        return await self.handler(visit)

    def over(self, ledger: Ledger, entry: Entry, status: int, received: int, delivered: bool, sent: int) -> None:
        """Give the place back and end the call's line."""
        if self.taken:
            self.taken = False
            self.station.queue.leave()
        ledger.settle(entry, status, delivered=delivered, received=received, sent=sent)


class Dispatcher:
    """Takes calls to their surfaces. Needs a running event loop, whose clock it goes by, but no socket."""

    def __init__(self, surfaces: Sequence[Surface], seed: int, profile: Profile) -> None:
        self._stations = {surface.name: _station(surface, seed, profile) for surface in surfaces}
        self._routes: Mapping[tuple[str, str], tuple[_Station, Handler, str]] = {
            route: (station, handler, route[1].rsplit("/", 1)[-1])
            for station in self._stations.values()
            for route, handler in station.surface.routes().items()
        }
        self._methods: dict[str, list[str]] = {}
        for method, path in self._routes:
            self._methods.setdefault(path, []).append(method)
        self._loop = asyncio.get_running_loop()
        self.ledger = Ledger(self._loop.time())

    @property
    def weather(self) -> Mapping[str, Weather]:
        """The faults of each surface, by its name."""
        return {name: station.weather for name, station in self._stations.items()}

    async def handle(self, request: Request) -> Reply:
        """Serve one call; whoever delivers the reply closes it."""
        found = self._routes.get((request.method, request.path))
        if found is None:
            return self._no_such_route(request)
        station, handler, operation = found
        ledger, headers = self.ledger, request.headers
        entry = ledger.arrive(
            _client(headers),
            station.surface.name,
            operation,
            hash((request.method, request.path, request.body, repr(request.query) if request.query else "")),
            request.connection,
            self._loop.time(),
            _attempt(headers),
        )
        visit = Visit(request, entry, station.draws.next())
        place = _Place(station, handler)
        received = len(request.body)
        try:
            reply = await _serve(station.weather, visit, place)
        except BaseException:
            place.over(ledger, entry, 0, received, False, 0)
            raise
        reply.on_close = partial(place.over, ledger, entry, reply.status, received)
        return reply

    def reset(self, *, data: bool) -> None:
        """Begin anew: a fresh ledger, full buckets, no told faults, the luck from its start; with `data`, no data."""
        self.ledger = Ledger(self._loop.time())
        for station in self._stations.values():
            station.surface.reset(data=data)
            station.draws.restart()
            station.queue.forget_peak()
            station.weather.told.clear()

    def load(self) -> dict[str, Any]:
        """Return the calls in flight, now and at most, by surface; and those that wait, where calls take turns."""
        shown: dict[str, Any] = {}
        for name, station in self._stations.items():
            queue = station.queue
            shown[name] = {"in_flight": queue.in_flight, "peak": queue.peak}
            if queue.takes_turns:
                shown[name]["waiting"] = queue.waiting
        return shown

    def _no_such_route(self, request: Request) -> Reply:
        methods = self._methods.get(request.path)
        if methods:
            message = f"{request.path} takes {' or '.join(methods)}, not {request.method}."
            return error(405, message, headers={"allow": ", ".join(methods)})
        known = ", ".join(sorted(self._methods))
        message = f"Unknown request URL: {request.method} {request.path}. Simulated are: {known}."
        return error(404, message, code="unknown_url")


def _station(surface: Surface, seed: int, profile: Profile) -> _Station:
    """Make a surface's station; the section of the profile that has its name says how it queues."""
    section = getattr(profile, surface.name, None)
    latency = getattr(section, "latency", None)
    queue = SharedQueue(surface.capacity)
    if isinstance(latency, LatencySpec):
        queue = SharedQueue(surface.capacity, latency.slots, latency.max_waiting)
    weather = Weather(
        surface.faults,
        [outage for outage in profile.outages if section is not None and outage.covers(surface.name)],
        [brownout for brownout in profile.brownouts if section is not None and brownout.covers(surface.name)],
    )
    return _Station(surface, queue, Draws(seed, surface.name), weather)


def _serve(weather: Weather, visit: Visit, place: _Place) -> Awaitable[Reply]:
    """Serve a call, or let a fault strike it: no coroutine of its own, for every call comes this way."""
    if weather.brownouts or weather.told:
        visit.slowdown = weather.slowdown(visit.draw, visit.entry.at)
    fault = weather.fault(visit.draw, visit.entry.at)
    return place.serve(visit) if fault is None else _strike(fault, weather, visit, place)


async def _strike(fault: str, weather: Weather, visit: Visit, place: _Place) -> Reply:
    entry = visit.entry
    entry.fault = fault
    reply = await FAULTS[fault].strike(visit, place.serve)
    if not entry.fault:
        weather.spared(fault)
    return reply


def _client(headers: Mapping[str, str]) -> str:
    """Return who calls: by name, or by key; a key long enough to be a secret is shortened."""
    name = headers.get("x-sim-client")
    if name:
        return name
    key = headers.get("api-key") or headers.get("authorization", "").partition(" ")[2]
    if not key:
        return "anonymous"
    return key if len(key) <= _LONGEST_SHOWN_KEY else f"{key[:4]}…{key[-4:]}"


def _attempt(headers: Mapping[str, str]) -> int | None:
    """Return how many attempts came before this one, where the client's SDK tells."""
    told = headers.get("x-stainless-retry-count")
    return int(told) if told is not None and told.isdecimal() else None
