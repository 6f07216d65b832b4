"""What a pacer asks of a quota, wherever the quota is kept: in this process, or shared by all replicas.

Everything here is synchronous: a quota that has to ask somebody answers from what it was granted before, asks in the
background, and wakes its pacer when the answer is there.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from rushhour.flow.allowance import LimitHeaders

MOST = 1e12


class Cost(msgspec.Struct, frozen=True):
    """What one call is charged: a request, and tokens as the provider counts them.

    Made a dozen times a call, and as a struct in a fifth of a frozen dataclass's time.
    """

    requests: float = 1.0
    tokens: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.requests < MOST and 0 <= self.tokens < MOST):
            raise ValueError(f"a call cannot cost {self.requests!r} requests and {self.tokens!r} tokens")


class Mark(msgspec.Struct, frozen=True):
    """When a call left, and what had been taken until then, itself included."""

    at: float
    requests: float
    tokens: float


class Waiters(Protocol):
    """The pacer, as its quota sees it."""

    def serve(self) -> None:
        """Look again at who may go: the quota changed."""
        ...

    def backlog(self) -> float:
        """Cost of all that waits, in seconds of the limit, as `Quota.price` tells it."""
        ...

    def expected(self, replicas: int) -> float:
        """Cost of what people wait for or were promised; 0 where permits are scarcer than a replica's equal share."""
        ...

    def booked(self, replicas: int) -> float:
        """Cost of all that were sent away and told when to come back, and will; 0 likewise."""
        ...


class Quota(Protocol):
    """Permission to send. Times are event-loop seconds; nothing here waits."""

    def attach(self, waiters: Waiters) -> None:
        """Remember whom to wake when more may be sent than the last `wait` told."""
        ...

    def wait(self, cost: Cost, now: float) -> float:
        """Seconds until this cost may be admitted, or until it is worth asking again; 0 means now."""
        ...

    def take(self, cost: Cost, now: float) -> None:
        """Debit all dimensions at once."""
        ...

    def give_back(self, cost: Cost) -> None:
        """Credit what was taken but not sent."""
        ...

    def mark(self, now: float) -> Mark:
        """Return what has been sent by now, for what is learned when the reply to it comes."""
        ...

    def learn(self, seen: LimitHeaders, since: Mark, now: float) -> None:
        """Believe what the provider says is left, as of the call that left at `since`."""
        ...

    def succeeded(self, since: Mark, now: float) -> None:
        """Learn that the call that left at `since` was served."""
        ...

    def throttled(self, since: Mark, until: float, now: float) -> None:
        """Learn that the call that left at `since` met a 429: nothing goes before `until`, and no burst then."""
        ...

    def price(self, cost: Cost) -> float:
        """Seconds of the whole limit that this cost uses up, by its scarcest dimension; 0 without a limit."""
        ...

    def sharing(self, cost: Cost) -> float:
        """How many times longer that takes at the moment, since others share the limit; 1 where nobody does."""
        ...

    def sharing_later(self, cost: Cost) -> float:
        """How many times longer it takes once all who wait now are through: by what is asked for in all, and here."""
        ...

    def coming(self) -> None:
        """Hear that more was promised a place or a time to come back: others who share the limit should know soon."""
        ...

    def credit(self, now: float) -> float:
        """Seconds' worth of the limit that could be spent at once; negative while in debt, infinite without one.

        What only we can spend counts as often as we share.
        """
        ...
