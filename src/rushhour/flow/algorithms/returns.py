"""When those who are refused should come back: one after another, not all at the moment when the queue has drained."""

from __future__ import annotations

import math

LONGEST_S = 3_600.0
"""Nobody is sent away for longer than the queue's wait and this: many of those who were refused will never return."""

SWEEP_S = 1.0
"""Between two looks for tenants whose places have all passed: with many tenants a look at each refusal would cost."""


class Returns:
    """A timetable of returns: each who is refused is told the place after the one before, at the pace of the limit.

    Tenants have timetables of their own, so whoever floods is sent behind himself; they run side by side, each at its
    share of the pace.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._booked: dict[int, float] = {}
        self._sweep_at = -math.inf
        self._total = 0.0

    def booked(self, now: float) -> float:
        """Return what those will cost who were told to come back and whose time has not come yet."""
        self._sweep(now)
        return self._total

    def after(self, wait: float, tenant: str, cost: float, now: float, times: float = 1.0) -> float:
        """Return in how many seconds to come back: `wait` or later; a call keeps the hop busy `times` its `cost`."""
        self._sweep(now)
        drained = now + wait
        booked = self._until.get(tenant, -math.inf)
        at = min(max(drained, booked), drained + LONGEST_S)
        sharing = len(self._until) + (tenant not in self._until)
        self._until[tenant] = at + cost * times * sharing
        self._booked[int(at)] = self._booked.get(int(at), 0.0) + cost
        self._total += cost
        return at - now

    def _sweep(self, now: float) -> None:
        if now >= self._sweep_at:
            self._until = {name: until for name, until in self._until.items() if until > now}
            self._booked = {second: cost for second, cost in self._booked.items() if second >= int(now)}
            self._total = sum(self._booked.values())
            self._sweep_at = now + SWEEP_S
