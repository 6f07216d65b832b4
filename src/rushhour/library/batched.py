"""Single requests carried together by somebody's own function for many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

from rushhour.flow.batch import Batch
from rushhour.flow.call import Hop, ignore, named, stack
from rushhour.flow.ledger.contract import Cost, Quota
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry
from rushhour.library.attempt import Attempt, LimitsOf, headers_of
from rushhour.library.foreign_errors import Errors, known_errors, translation
from rushhour.library.protected import Protected, Watch, check_times, counted, name_of, quota_of

Q = TypeVar("Q")
R = TypeVar("R")


class Batched(Protected[Q, R], Generic[Q, R]):
    """A function for single requests, made of one for many: use as `async with batch(embed_many, …) as embed`."""

    def __init__(self, hop: Hop[Q, R], carrier: Batch[Q, R], deadline_s: float | None, watch: Watch) -> None:
        super().__init__(hop, deadline_s, watch)
        self._carrier = carrier

    async def aclose(self) -> None:
        """Stop what is under way; whoever still waits is cancelled."""
        await self._carrier.aclose()

    async def __aenter__(self) -> Batched[Q, R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def batch(
    function: Callable[[Sequence[Q]], Awaitable[Sequence[R]]],
    *,
    max_items: int,
    max_tokens: float = 1e9,
    tokens: Callable[[Q], float] | None = None,
    limits: Limits | Quota | None = None,
    errors: Errors | Iterable[Errors] = known_errors,
    limits_of: LimitsOf = headers_of,
    concurrency: int = 8,
    timeout_s: float | None = 60.0,
    deadline_s: float | None = None,
    spacing_s: float = 0.0,
    name: str = "",
    watch: Watch = ignore,
) -> Batched[Q, R]:
    """Carry single requests in calls of `function`, which takes many and returns as many replies in order.

    While a call waits for its turn, requests gather, so that the busier it is the larger are the batches. One call
    carries `max_items` and `max_tokens` at most, as `tokens(item)` counts them. A caller who leaves is dropped before
    sending; a batch that is refused for what is in it is split until that item fails alone. `spacing_s` is the least
    time between two calls. The rest is as in `protect`, round the calls that are shared.
    """
    check_times(timeout_s)
    breaker = Breaker(BreakerSettings(slow_s=(timeout_s or 60.0) / 2))
    room = Concurrency(concurrency)

    def cost(parcel: Any) -> Cost:
        charged = carrier.parcel_cost(parcel)
        return charged if tokens else Cost(charged.requests)

    attempt: Attempt[Sequence[Q], Sequence[R]] = Attempt(function, translation(errors), limits_of, timeout_s)
    carrier: Batch[Q, R] = Batch(
        attempt,
        Retry(),
        breaker,
        Pace(quota_of(limits), cost, room=room, grows=True),
        room,
        breaker.watch,
        max_items=max_items,
        max_size=max_tokens,
        size=counted(tokens) if tokens else (lambda _item: 0.0),
        watch=watch,
        hop=name or name_of(function),
        spacing_s=spacing_s,
    )
    hop: Hop[Q, R] = named(stack(carrier, Deadline()), name or name_of(function))
    return Batched(hop, carrier, deadline_s, watch)
