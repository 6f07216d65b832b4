"""Degrade before refusing, and say so (rule 12): the next best hop answers when this one cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rushhour.errors import CircuitOpen, QuotaExhausted, RetryBudgetSpent, RushhourError, UpstreamError
from rushhour.flow.call import Call, Event, Hop


@dataclass(frozen=True, slots=True)
class Degraded(Event):
    """The answer is less than it could be: `label` says how, `cause` why."""

    label: str
    cause: RushhourError


def is_down(failure: RushhourError) -> bool:
    """Tell a hop that is down or out of money from a request that is at fault or has to wait."""
    if isinstance(failure, CircuitOpen | RetryBudgetSpent | QuotaExhausted):
        return True
    return isinstance(failure, UpstreamError) and failure.may_pass


class Fallback:
    """Ask the `others` in turn when the hop fails or refuses; each comes with the label that the receipt shows.

    Only for what is down or out of budget: a request that is itself at fault, a wrong key, or a queue that is too
    long is told as it is.
    """

    def __init__(self, *others: tuple[str, Hop[Any, Any]]) -> None:
        self._others = others

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the first reply of the chain; raise the last failure."""
        try:
            return await inner(request, call)
        except RushhourError as failure:
            if not is_down(failure):
                raise
            cause = failure
        for label, other in self._others:
            try:
                reply = await other(request, call)
            except RushhourError as failure:
                if not is_down(failure):
                    raise
                cause = failure
            else:
                call.emit(Degraded(call.hop, label, cause))
                return reply
        raise cause
