"""How long a provider takes: lognormal with a slow tail, from a queue that all its callers share.

Measured times to the first token (median 0.54–0.66 s, p95 0.84–1.09, p99 2.2–4.5) are a lognormal with σ ≈ 0.3 and
one slow call in a hundred. They rise with load, for everybody at once: independent draws would hide just the
coupling that makes a crowd slow.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from rushhour.simulator.draws import Draw

_FULLEST = 0.9


class LatencySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The distribution of a provider's time to answer, in seconds.

    `slow_share` of the calls take a time between the two of `slow_s`; `capacity` is the number of calls in
    flight at which the provider would stand still.
    """

    median_s: Annotated[float, msgspec.Meta(ge=0)]
    sigma: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.3
    slow_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    slow_s: tuple[Annotated[float, msgspec.Meta(ge=0)], Annotated[float, msgspec.Meta(ge=0)]] = (2.0, 4.0)
    capacity: Annotated[int, msgspec.Meta(ge=1)] = 1000

    def seconds(self, draw: Draw) -> float:
        """Return the time of one call on an idle provider."""
        if draw.uniform("slow") < self.slow_share:
            return draw.uniform("slowness", *self.slow_s)
        return self.median_s * math.exp(self.sigma * draw.normal("latency"))


class SharedQueue:
    """The calls in flight on one surface, and how much they slow each other down."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.in_flight = 0
        self.peak = 0

    def enter(self) -> float:
        """Take a place and return the factor on this call's latency: 1/(1 − utilisation), 10 at most.

        The law is that of the M/M/1 queue, bounded, since a provider sheds load rather than stand still.
        """
        slowdown = 1.0 / (1.0 - min(self.in_flight / self._capacity, _FULLEST))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        return slowdown

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1

    def forget_peak(self) -> None:
        """Count the peak from now on."""
        self.peak = self.in_flight
