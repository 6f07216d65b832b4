"""Degrade before refusing, and say so (rule 12): the next best hop answers when this one cannot."""

from __future__ import annotations

from typing import Any, NamedTuple

from rushhour.errors import (
    CircuitOpen,
    DeadlineExceeded,
    QueueFull,
    QuotaExhausted,
    RetryBudgetSpent,
    RushhourError,
    UpstreamError,
    WouldMissDeadline,
)
from rushhour.flow.call import Call, Event, Hop


class Degraded(Event, frozen=True):
    """The answer is less than it could be: `label` says how, `cause` why, `by` who answers instead."""

    label: str
    cause: RushhourError
    by: str = ""


def is_down(failure: RushhourError) -> bool:
    """Tell a hop that is down or out of money from a request that is at fault or has to wait."""
    if isinstance(failure, CircuitOpen | RetryBudgetSpent | QuotaExhausted):
        return True
    return isinstance(failure, UpstreamError) and failure.may_pass


class Substitute(NamedTuple):
    """A hop that stands in for another: the label that the receipt shows, and the name of what answers then."""

    label: str
    hop: Hop[Any, Any]
    name: str = ""


class Fallback:
    """Ask the `others` in turn when the hop is down or out of budget; each comes with a label, and perhaps a name.

    A request that is itself at fault or a wrong key is told as it is, and so is a queue that is too long, unless
    `overloaded` gives the label for that: then it is a reason to ask the others too. Whatever a substitute fails of
    is no concern of the caller's: the next one is asked.
    """

    def __init__(self, *others: Substitute | tuple[str, Hop[Any, Any]], overloaded: str = "") -> None:
        self._others = [Substitute(*other) for other in others]
        self._overloaded = overloaded

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the first reply of the chain; when all fail, raise the last failure that says a hop is down."""
        try:
            return await inner(request, call)
        except RushhourError as failure:
            crowded = bool(self._overloaded) and isinstance(failure, QueueFull | WouldMissDeadline)
            if not crowded and not is_down(failure):
                raise
            cause = failure
        for other in self._others:
            try:
                reply = await other.hop(request, call)
            except DeadlineExceeded:
                raise
            except RushhourError as failure:
                if is_down(failure) and not crowded:
                    cause = failure
            else:
                label = self._overloaded if crowded else other.label
                call.emit(Degraded(call.hop, label, cause, other.name))
                return reply
        raise cause
