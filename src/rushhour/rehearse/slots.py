"""Slots: how fast a server of one's own serves that works on so many calls at a time and lets the others wait.

S slots, each taken for T seconds, let S / T calls a second pass; all are free at the start, as if T seconds of that had
been saved up. T is the time of a call while all slots are taken: until its first token and then until its last, both
slowed down by the calls beside it (`rushhour.simulator.latency`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushhour.simulator.latency import LatencySpec, slowdown


@dataclass(frozen=True, slots=True)
class Slots:
    """How many calls are worked on at a time, and the mean seconds until a first token and for each token after it."""

    count: int
    first_s: float
    token_s: float

    def work_s(self, answer_tokens: float) -> float:
        """Return the mean time of one call while all slots are taken."""
        return self.first_s + answer_tokens * self.token_s


def slots_of(latency: LatencySpec, tokens_per_s: tuple[float, float]) -> Slots | None:
    """Return a chat API's slots, from its latency and the paces of its slowest and fastest stream; None without any.

    A call that takes the last free slot begins beside all the others. With slots for more than half of the capacity,
    fewer calls at work would get more done; what is told is what the server does when it is left to itself.
    """
    if latency.slots is None:
        return None
    first_s = (1 - latency.slow_share) * latency.median_s * math.exp(latency.sigma**2 / 2)
    first_s += latency.slow_share * sum(latency.slow_s) / 2
    slow, fast = tokens_per_s
    token_s = 1 / slow if slow == fast else math.log(fast / slow) / (fast - slow)
    factor = slowdown(latency.slots - 1, latency.capacity)
    return Slots(latency.slots, first_s * factor, token_s * factor)


def slots_told(count: int, work_s: float) -> str:
    """Say in words how many calls at a time, and how long each."""
    return f"{count:,} {'call' if count == 1 else 'calls'} at a time, {work_s:.3g} s each"
