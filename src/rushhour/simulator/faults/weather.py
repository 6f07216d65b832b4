"""What befalls the calls of one surface: faults told to strike now, outages, and faults by their share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rushhour.simulator.draws import Draw
from rushhour.simulator.faults.windows import Brownout, Outage


@dataclass(slots=True)
class Injection:
    """A fault told to strike: the next `left` calls, or those until `until`, by its share; a brownout has a factor.

    Times are in seconds since the reset.
    """

    fault: str
    share: float = 1.0
    left: float = math.inf
    until: float = math.inf
    factor: float = 1.0
    struck: int = 0

    def over(self, at: float) -> bool:
        """Tell whether it strikes no more."""
        return self.left <= 0 or at >= self.until

    def strike(self) -> None:
        """Count one call that it struck."""
        self.left -= 1
        self.struck += 1

    def as_json(self, at: float) -> dict[str, Any]:
        """Return it as `GET /_sim/faults` shows it."""
        shown: dict[str, Any] = {"fault": self.fault, "share": self.share, "struck": self.struck}
        if math.isfinite(self.left):
            shown["left"] = int(self.left)
        if math.isfinite(self.until):
            shown["ends_in_s"] = max(0.0, self.until - at)
        if self.factor != 1.0:
            shown["factor"] = self.factor
        return shown


@dataclass(slots=True)
class Weather:
    """The faults of one surface; what was told outranks outages, and outages outrank shares."""

    shares: Mapping[str, float] = field(default_factory=dict)
    outages: Sequence[Outage] = ()
    brownouts: Sequence[Brownout] = ()
    told: list[Injection] = field(default_factory=list)

    def fault(self, draw: Draw, at: float) -> str | None:
        """Choose the fault that strikes a call arriving at `at`; mostly none."""
        if self.told:
            injected = self._injected(draw, at)
            if injected is not None:
                return injected
        for outage in self.outages:
            if outage.holds(at) and draw.uniform("outage") < outage.share:
                return outage.kind
        if not self.shares:
            return None
        luck = draw.uniform("fault")
        for name, share in self.shares.items():
            if luck < share:
                return name
            luck -= share
        return None

    def slowdown(self, draw: Draw, at: float) -> float:
        """Return the factor on the latency of a call arriving at `at`."""
        factor = 1.0
        for brownout in self.brownouts:
            if brownout.holds(at):
                factor *= brownout.factor
        for injection in self.told:
            if injection.fault == "brownout" and not injection.over(at) and draw.uniform("slowed") < injection.share:
                injection.strike()
                factor *= injection.factor
        return factor

    def spared(self, fault: str) -> None:
        """Take back that a call was struck: the fault did not apply to it, so it waits for another."""
        for injection in self.told:
            if injection.fault == fault and injection.struck:
                injection.left += 1
                injection.struck -= 1
                return

    def active(self, at: float) -> list[Injection]:
        """Return what is told and not over."""
        self.told = [injection for injection in self.told if not injection.over(at)]
        return self.told

    def _injected(self, draw: Draw, at: float) -> str | None:
        for number, injection in enumerate(self.active(at)):
            if injection.fault != "brownout" and draw.uniform(f"told{number}") < injection.share:
                injection.strike()
                return injection.fault
        return None
