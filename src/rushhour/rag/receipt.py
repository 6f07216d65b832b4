"""What an answer took: tokens, money, waits, retries, reuse, and in what way it is less than it could be (rule 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from rushhour.errors import Throttled
from rushhour.flow.batch import Batched
from rushhour.flow.call import Event
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.hedge import Hedged
from rushhour.flow.policies.pace import Admitted, Gated
from rushhour.flow.policies.retry import Retried
from rushhour.flow.policies.reuse import Reused
from rushhour.hops.contract import Usage, Used

ANSWER = "answer"
"""The name under which reuse of whole answers is told and counted."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens; `search` is per thousand searches."""

    input: float = 0.0
    cached: float | None = None
    output: float = 0.0
    search: float = 0.0

    def of(self, usage: Usage) -> float:
        """Return what this usage costs in dollars."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_tokens
        tokens = (fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output) / 1e6
        return tokens + usage.searches * self.search / 1e3


class _HopAccount(msgspec.Struct, omit_defaults=True):
    """What one hop did for this answer.

    `calls` is its share of the calls that were paid for, `attempts` how often it went to the provider, hedges aside;
    `waited_s` was spent in queues, `gated_s` is for how long its own 429s closed the hop.
    """

    calls: float = 0.0
    attempts: int = 0
    waited_s: float = 0.0
    retries: int = 0
    throttled: int = 0
    gated_s: float = 0.0
    hedged: int = 0
    batched_with: int = 0
    input_tokens: float = 0.0
    cached_tokens: float = 0.0
    output_tokens: float = 0.0
    reused: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Only what happened."""
        said: dict[str, Any] = {}
        for name, value in msgspec.to_builtins(self).items():
            if shown := value if name == "reused" else round(value, _DIGITS.get(name)):
                said[name] = shown
        return said


_DIGITS: Final[Mapping[str, int]] = {"calls": 4, "waited_s": 3, "gated_s": 3}
"""The digits after the point that are shown; other counts are whole numbers."""


class Receipt(msgspec.Struct):
    """A sink of one answer's events; `prices` are by model.

    `reused` says whence the whole answer came if nobody generated it for this question; `by` names who answered in
    the place of the hop that was asked.
    """

    prices: Mapping[str, Price] = msgspec.field(default_factory=dict)
    degraded: list[str] = msgspec.field(default_factory=list)
    cost_usd: float = 0.0
    reused: str | None = None
    by: str = ""
    _hops: dict[str, _HopAccount] = msgspec.field(default_factory=dict)

    def record(self, event: Event) -> None:
        """Account for an event; events of no interest are passed over."""
        handler = _HANDLERS.get(type(event))
        if handler:
            handler(self, event, 1.0)

    def as_json(self) -> dict[str, Any]:
        """Return the receipt as it is shown to users."""
        fresh = cached = written = waited = 0.0
        retries = 0
        for account in self._hops.values():
            fresh += account.input_tokens
            cached += account.cached_tokens
            written += account.output_tokens
            waited += account.waited_s
            retries += account.retries
        return {
            "tokens": {"input": round(fresh), "cached": round(cached), "output": round(written)},
            "cost_usd": round(self.cost_usd, 8),
            "waited_s": round(waited, 3),
            "retries": retries,
            "hops": {name: account.as_json() for name, account in self._hops.items()},
            "reused": self.reused,
            "degraded": self.degraded,
        }

    def reuse(self, how: str, waited: float = 0.0) -> None:
        """Say that the whole answer was taken from elsewhere, after waiting `waited` seconds for its first words."""
        self.reused = how
        account = self._at(ANSWER)
        account.reused = how
        account.waited_s += waited

    def waited_for(self, hop: str) -> float:
        """Seconds spent in the queue of one hop so far."""
        account = self._hops.get(hop)
        return account.waited_s if account else 0.0

    def _at(self, hop: str) -> _HopAccount:
        account = self._hops.get(hop)
        if account is None:
            account = self._hops[hop] = _HopAccount()
        return account

    def _admitted(self, event: Admitted, _share: float) -> None:
        account = self._at(event.hop)
        account.attempts += 1
        account.waited_s += event.waited

    def _gated(self, event: Gated, _share: float) -> None:
        self._at(event.hop).gated_s += event.seconds

    def _hedged(self, event: Hedged, _share: float) -> None:
        self._at(event.hop).hedged += 1

    def _retried(self, event: Retried, _share: float) -> None:
        account = self._at(event.hop)
        account.retries += 1
        account.throttled += isinstance(event.cause, Throttled)

    def _reused(self, event: Reused, _share: float) -> None:
        self._at(event.hop).reused = event.how

    def _degraded(self, event: Degraded, _share: float) -> None:
        if event.label not in self.degraded:
            self.degraded.append(event.label)
        self.by = event.by or self.by

    def _used(self, event: Used, share: float) -> None:
        account = self._at(event.hop)
        account.calls += share
        account.input_tokens += event.usage.input_tokens * share
        account.cached_tokens += event.usage.cached_tokens * share
        account.output_tokens += event.usage.output_tokens * share
        if price := self.prices.get(event.model):
            self.cost_usd += price.of(event.usage) * share

    def _batched(self, event: Batched, _share: float) -> None:
        account = self._at(event.hop)
        account.waited_s += event.waited
        account.batched_with = event.items
        for shared in event.events:
            if isinstance(shared, Admitted):  # how long the parcel waited is part of how long its riders did
                account.attempts += 1
            elif handler := _SHARED.get(type(shared)):
                handler(self, shared, event.share)


_Handler: TypeAlias = Callable[[Receipt, Any, float], None]

_SHARED: dict[type[Event], _Handler] = {
    Gated: Receipt._gated,
    Hedged: Receipt._hedged,
    Retried: Receipt._retried,
    Used: Receipt._used,
}
"""What a call that many shared did for each of them."""

_HANDLERS: dict[type[Event], _Handler] = {
    **_SHARED,
    Admitted: Receipt._admitted,
    Batched: Receipt._batched,
    Degraded: Receipt._degraded,
    Reused: Receipt._reused,
}
