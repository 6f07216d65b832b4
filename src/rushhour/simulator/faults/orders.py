"""Orders to fail now: read from the control door, checked, and handed to the weather of the surfaces they name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from rushhour.simulator.conversion import convert
from rushhour.simulator.errors import ProfileError
from rushhour.simulator.faults import FAULTS, can_strike
from rushhour.simulator.faults.weather import Injection, Weather

BROWNOUT = "brownout"
_EXAMPLE = '{"surface": "chat", "fault": "reset", "count": 5} or {"fault": "overloaded", "for_s": 10}'


class OrderError(Exception):
    """An order that cannot be followed; the message names the field, the value and the remedy."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`POST /_sim/faults`: a fault, on a surface or on all that it can strike, for `count` calls or `for_s` seconds.

    One call where neither is said. `share` of the calls are struck, by their luck; `factor` is a brownout's.
    """

    fault: str
    surface: str = ""
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    for_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    factor: Annotated[float, msgspec.Meta(ge=1, le=1_000)] | None = None

    def injection(self, at: float) -> Injection:
        """Return what the weather of a surface is told at `at`."""
        left = self.count if self.count is not None else 1 if self.for_s is None else math.inf
        until = math.inf if self.for_s is None else at + self.for_s
        factor = (self.factor or 10.0) if self.fault == BROWNOUT else 1.0
        return Injection(self.fault, self.share, left, until, factor)


def read_order(body: bytes) -> Order:
    """Read an order; raises OrderError."""
    try:
        order = convert(msgspec.json.decode(body), Order, "This is no order to fail")
    except (msgspec.MsgspecError, ValueError, ProfileError) as wrong:
        raise OrderError(f"{str(wrong).rstrip('.')}. Send, for example, {_EXAMPLE}.") from None
    if order.fault != BROWNOUT and order.fault not in FAULTS:
        raise OrderError(
            f"fault = {order.fault!r}: there is none of that name. Known are {BROWNOUT}, {', '.join(FAULTS)}."
        )
    if order.factor is not None and order.fault != BROWNOUT:
        raise OrderError(f"factor = {order.factor:g}: only a {BROWNOUT} has a factor; leave it out.")
    return order


def follow(order: Order, weather: Mapping[str, Weather], at: float) -> list[str]:
    """Tell the surfaces that are meant, and return their names; raises OrderError."""
    possible = [name for name in weather if order.fault == BROWNOUT or can_strike(order.fault, name)]
    if order.surface and order.surface not in weather:
        raise OrderError(f"surface = {order.surface!r}: there is none of that name. Known are {', '.join(weather)}.")
    if order.surface and order.surface not in possible:
        raise OrderError(
            f"surface = {order.surface!r}: {order.fault} cannot strike it. It strikes only {', '.join(possible)}."
        )
    meant = [order.surface] if order.surface else possible
    for name in meant:
        weather[name].told.append(order.injection(at))
    return meant


def overview(weather: Mapping[str, Weather], at: float) -> dict[str, Any]:
    """Return every fault there is, and what each surface is told, as `GET /_sim/faults` shows it."""
    return {
        "at_s": at,
        "faults": {name: {"about": fault.about, "surfaces": sorted(fault.surfaces)} for name, fault in FAULTS.items()},
        "surfaces": {
            name: {
                "shares": dict(one.shares),
                "outages": one.outages,
                "brownouts": one.brownouts,
                "told": [injection.as_json(at) for injection in one.active(at)],
            }
            for name, one in weather.items()
        },
    }
