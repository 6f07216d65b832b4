"""How one client behaved: what it sent again, how soon, what it paid twice, which half answers it let be.

Two calls that ask the same have the same fingerprint; only so can a server know a retry. It is mistaken where two
users ask the same thing: an SDK that numbers its attempts (`x-stainless-retry-count`) is taken at its word. Pure: times
are arguments, in seconds of any clock.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

_MONEY = frozenset({"billing", "month"})
_MONEY_MEMORY_S = 60.0
"""After so long the same question is no retry of one that was refused for money: somebody may have paid."""


@dataclass(frozen=True, slots=True)
class _Refused:
    at: float
    until: float
    kind: str


@dataclass(slots=True)
class Conduct:
    """One client's manners, counted call by call."""

    terminal_retries: Counter[str] = field(default_factory=Counter)
    too_early: int = 0
    early_by_s: float = 0.0
    patient: int = 0
    told_retries: int = 0
    duplicates: int = 0
    duplicate_cost_usd: float = 0.0
    abandoned_cost_usd: float = 0.0
    truncated: int = 0
    reasked: int = 0
    _refusals: dict[int, _Refused] = field(default_factory=dict)
    _paid: set[int] = field(default_factory=set)
    _halves: Counter[int] = field(default_factory=Counter)

    @property
    def unasked(self) -> int:
        """How many truncated answers were never asked for again."""
        return self.truncated - self.reasked

    def asked(self, fingerprint: int, at: float, attempt: int | None = None) -> None:
        """Note a call; `attempt` counts from 0 where the client tells it."""
        if attempt:
            self.told_retries += 1
        if self._halves and self._halves[fingerprint] > 0:
            self._halves[fingerprint] -= 1
            self.reasked += 1
        refused = self._refusals.get(fingerprint)
        if refused is None or attempt == 0:
            return
        if math.isinf(refused.until):
            if refused.kind not in _MONEY or at - refused.at <= _MONEY_MEMORY_S:
                self.terminal_retries[refused.kind] += 1
        elif at < refused.until:
            self.too_early += 1
            self.early_by_s += refused.until - at
        else:
            self.patient += 1

    def refused(self, fingerprint: int, at: float, wait: float, kind: str) -> None:
        """Note that a call was refused, for `wait` seconds; an infinite wait means for ever."""
        self._refusals[fingerprint] = _Refused(at, at + wait, kind)

    def served(self, fingerprint: int, cost_usd: float, *, delivered: bool) -> None:
        """Note that a call was served at a cost, and whether the client stayed to the end of the reply."""
        self._refusals.pop(fingerprint, None)
        if not delivered:
            self.abandoned_cost_usd += cost_usd
        if cost_usd <= 0:
            return
        if fingerprint in self._paid:
            self.duplicates += 1
            self.duplicate_cost_usd += cost_usd
        else:
            self._paid.add(fingerprint)

    def half_served(self, fingerprint: int) -> None:
        """Note that an answer broke off in the middle."""
        self.truncated += 1
        self._halves[fingerprint] += 1
