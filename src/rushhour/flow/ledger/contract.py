"""What a pacer asks of a quota, wherever the quota is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rushhour.flow.allowance import LimitHeaders


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call is charged: a request, and tokens as the provider counts them."""

    requests: float = 1.0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """When a call left, and what had been taken until then, itself included."""

    at: float
    requests: float
    tokens: float


class Quota(Protocol):
    """Permission to send. Times are event-loop seconds; nothing here waits."""

    def wait(self, cost: Cost, now: float) -> float:
        """Seconds until this cost would be admitted; 0 means now."""
        ...

    def take(self, cost: Cost, now: float) -> None:
        """Debit all dimensions at once."""
        ...

    def give_back(self, cost: Cost) -> None:
        """Credit what was taken but not sent."""
        ...

    def exhaust(self, now: float) -> None:
        """Forget burst credit up to `now` (which may lie ahead): the provider says it is used up."""
        ...

    def mark(self, now: float) -> Mark:
        """Return what has been sent by now, for `learn` when the reply to it comes."""
        ...

    def learn(self, seen: LimitHeaders, since: Mark, now: float) -> None:
        """Believe what the provider says is left, as of the call that left at `since`."""
        ...

    def price(self, cost: Cost) -> float:
        """Seconds of the limit that this cost uses up, by its scarcest dimension; 0 without a limit."""
        ...

    def credit(self, now: float) -> float:
        """Seconds' worth of the limit that could be spent at once; negative while in debt, infinite without one."""
        ...
