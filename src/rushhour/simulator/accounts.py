"""The sums of the ledger: what one client did, surface by surface, and how it behaved."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rushhour.simulator.conduct import Conduct
from rushhour.simulator.verdict import Figures, judge, worst


@dataclass(slots=True)
class Tally:
    """The sums of one client on one surface."""

    calls: int = 0
    ok: int = 0
    abandoned: int = 0
    throttled: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    read_units: int = 0
    cost_usd: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally's sums to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """Return the sums by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Client:
    """The account of one client."""

    surfaces: dict[str, Tally] = field(default_factory=dict)
    connections: int = 0
    open: int = 0
    peak: int = 0
    embedded: int = 0
    texts: set[int] = field(default_factory=set)
    conduct: Conduct = field(default_factory=Conduct)

    def tally(self, surface: str) -> Tally:
        """Return the client's tally on a surface."""
        tally = self.surfaces.get(surface)
        if tally is None:
            tally = self.surfaces[surface] = Tally()
        return tally

    def as_json(self) -> dict[str, Any]:
        """Return the account as `GET /_sim/state` shows it."""
        return {
            "total": self.total().as_json(),
            "surfaces": {name: tally.as_json() for name, tally in sorted(self.surfaces.items())},
            "connections": {"opened": self.connections, "open": self.open, "peak": self.peak},
            "texts": {
                "embedded": self.embedded,
                "distinct": len(self.texts),
                "duplicates": self.embedded - len(self.texts),
            },
            "retries_after_terminal": self.conduct.terminal_retries.total(),
            "retries_too_early": self.conduct.too_early,
        }

    def total(self) -> Tally:
        """Return the sums over all surfaces."""
        total = Tally()
        for tally in self.surfaces.values():
            total.add(tally)
        return total

    def figures(self) -> Figures:
        """Return what the verdict goes by."""
        total, conduct = self.total(), self.conduct
        return Figures(
            calls=total.calls,
            ok=total.ok,
            throttled=total.throttled.total(),
            abandoned=total.abandoned,
            connections=self.connections,
            peak_connections=self.peak,
            terminal_retries=dict(conduct.terminal_retries),
            too_early=conduct.too_early,
            early_by_s=conduct.early_by_s,
            patient=conduct.patient,
            told_retries=conduct.told_retries,
            duplicates=conduct.duplicates,
            duplicate_cost_usd=conduct.duplicate_cost_usd,
            abandoned_cost_usd=conduct.abandoned_cost_usd,
            cost_usd=total.cost_usd,
            truncated=conduct.truncated,
            reasked=conduct.reasked,
        )

    def verdict(self) -> dict[str, Any]:
        """Return the verdict as `GET /_sim/verdict` shows it."""
        figures = self.figures()
        lines = judge(figures)
        return {
            "verdict": worst(lines),
            "lines": [line.as_json() for line in lines],
            "figures": {name: getattr(figures, name) for name in Figures.__slots__},
        }
