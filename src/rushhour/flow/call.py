"""The whole contract of flow control, on one screen.

A *hop* is anything that can be called with a request and a `Call`. A *policy* is one thing done round a hop; it
receives the next step as an argument, so it can be tested alone. `stack` puts policies round a hop; the first
named sees the request first, and the order changes the meaning (`docs/decisions/0003-order-of-policies.md`).

Nothing here logs, counts or traces: policies hand frozen events to `call.emit`, and sinks decide.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

Q = TypeVar("Q")
R = TypeVar("R")


class Lane(enum.IntEnum):
    """Who is waiting: a person, or work that can take what is left."""

    INTERACTIVE = 0
    BACKGROUND = 1


class Event(msgspec.Struct, frozen=True):
    """Something that happened round a hop; each policy defines its own beside itself."""

    hop: str


def ignore(_event: Event) -> None:
    """Drop an event; the sink of a call nobody watches."""


class Call(msgspec.Struct, frozen=True):
    """What travels with a request through every hop: for whom, until when, how urgent, and who is told.

    `deadline` is in seconds of the event loop's clock; `hop` is the name of the hop the call is in. It goes in `again`
    when it has failed there before, after its turn.
    """

    tenant: str = "anonymous"
    deadline: float = math.inf
    lane: Lane = Lane.INTERACTIVE
    emit: Callable[[Event], None] = ignore
    hop: str = ""
    again: bool = False

    def at(self, hop: str) -> Call:
        """Return this call as it enters a named hop."""
        return Call(self.tenant, self.deadline, self.lane, self.emit, hop)

    def telling(self, emit: Callable[[Event], None]) -> Call:
        """Return this call with another sink."""
        return Call(self.tenant, self.deadline, self.lane, emit, self.hop, self.again)


Hop: TypeAlias = Callable[[Q, Call], Awaitable[R]]


class Policy(Protocol):
    """One thing done round a hop."""

    def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Awaitable[Any]:
        """Do it, calling `inner` as often as it takes; where there is nothing to do, what `inner` returns will do."""
        ...


def stack(hop: Hop[Q, R], *policies: Policy) -> Hop[Q, R]:
    """Put policies round a hop; the first named sees the request first."""
    for policy in reversed(policies):
        hop = partial(_through, policy, hop)
    return hop


def _through(policy: Policy, inner: Hop[Q, R], request: Q, call: Call) -> Awaitable[R]:
    return policy(request, call, inner)


def named(hop: Hop[Q, R], name: str) -> Hop[Q, R]:
    """Give a hop the name that its events carry."""

    def enter(request: Q, call: Call) -> Awaitable[R]:
        return hop(request, call.at(name))

    return enter
