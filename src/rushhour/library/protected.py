"""Somebody's own async function, with all policies round it in the order that keeps their promises."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from rushhour.flow.call import Call, Event, Hop, Lane, Policy, ignore, named, stack
from rushhour.flow.ledger.contract import Cost, Quota
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.hedge import Hedge
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.policies.reuse import LruCache, Reuse
from rushhour.flow.stream import Stream
from rushhour.library.attempt import Attempt, LimitsOf, headers_of
from rushhour.library.foreign_errors import Errors, Translate, known_errors, translation

Q = TypeVar("Q")
R = TypeVar("R")
Watch = Callable[[Event], None]

CIRCUIT_PATIENCE_S = 5.0
"""How long a call waits for an open circuit while a fallback stands ready."""


class Protected(Generic[Q, R]):
    """A function with policies round it: `await chat(request, deadline_s=20, tenant="alice")`.

    `hop` is the same for those who stack hops themselves: `await chat.hop(request, call)`.
    """

    def __init__(self, hop: Hop[Q, R], deadline_s: float | None = None, watch: Watch = ignore) -> None:
        self.hop = hop
        self._deadline_s = deadline_s
        self._watch = watch

    async def __call__(
        self,
        request: Q,
        *,
        deadline_s: float | None = None,
        tenant: str = "anonymous",
        background: bool = False,
        watch: Watch | None = None,
    ) -> R:
        """Return the reply, or raise an error of rushhour's tree, or what the function raised if nobody knows it.

        `deadline_s` is how many seconds from now the caller has patience for, queueing and retries included; a stream
        has to end by then too. Tenants get fair turns; `background` calls go after those that people wait for.
        `watch` is told the events of this call.
        """
        seconds = self._deadline_s if deadline_s is None else deadline_s
        lane = Lane.BACKGROUND if background else Lane.INTERACTIVE
        return await self.hop(request, Call(tenant, _moment(seconds), lane, self._emit(watch)))

    def _emit(self, watch: Watch | None) -> Watch:
        if watch is None:
            return self._watch
        if self._watch is ignore:
            return watch
        both = (self._watch, watch)

        def emit(event: Event) -> None:
            for one in both:
                one(event)

        return emit


def protect(
    function: Callable[[Q], Awaitable[R]],
    *,
    limits: Limits | Quota | None = None,
    tokens: Callable[[Q], float] | None = None,
    errors: Errors | Iterable[Errors] = known_errors,
    limits_of: LimitsOf = headers_of,
    concurrency: int = 100,
    timeout_s: float | None = 60.0,
    deadline_s: float | None = None,
    fallback: Callable[[Q], Awaitable[R]] | Iterable[Callable[[Q], Awaitable[R]]] = (),
    key: Callable[[Q], Hashable | None] | None = None,
    cache: int = 1000,
    idempotent: bool = False,
    name: str = "",
    watch: Watch = ignore,
) -> Protected[Q, R]:
    """Put rushhour's policies round an async function of one request.

    - `limits`: what the provider allows; what is not told is learned from `limits_of(reply)` (by default the headers of
      the reply, where it has any) and from 429s. `tokens(request)` is what the provider charges against its limit.
    - `errors`: how foreign exceptions become ours, which alone are retried and counted; see `foreign_errors`. The
      original stays as `__cause__`.
    - `concurrency`: calls in flight at most; a stream counts until it is closed. `timeout_s`: what one attempt may take
      until its reply, or until each item of its stream.
    - `deadline_s`: the patience of calls that do not say their own.
    - `fallback`: who is asked in turn when the function is down, out of money, or its circuit open.
    - `key`: equal requests of one tenant, by this key, are answered by one call and from a cache of `cache` replies (0:
      only while the call is in flight); None as a key means never. Not for streams.
    - `idempotent`: an unusually late call may be made a second time, while the limit has room that nobody waits for.
    - `watch` is told the events of all calls, which carry `name`.
    """
    _check(function, cache)
    check_times(timeout_s)
    translate = translation(errors)
    others = _several(fallback)
    breaker = Breaker(BreakerSettings(slow_s=(timeout_s or 60.0) / 2))
    room = Concurrency(concurrency)
    pace = Pace(quota_of(limits), _cost(tokens), room=room)
    policies: tuple[Policy, ...] = (
        Deadline(),
        *((_reuse(key, cache),) if key else ()),
        Fallback(*((name_of(other), _hop(other, translate, limits_of, timeout_s)) for other in others)),
        Retry(RetrySettings(circuit_patience_s=CIRCUIT_PATIENCE_S if others else math.inf)),
        breaker,
        pace,
        room,
        *((Hedge(pace.take_spare),) if idempotent else ()),
        breaker.watch,
    )
    attempt: Hop[Q, R] = Attempt(function, translate, limits_of, timeout_s)
    if key:
        attempt = stack(attempt, _refuse_streams)
    return Protected(named(stack(attempt, *policies), name or name_of(function)), deadline_s, watch)


def _hop(function: Any, translate: Translate, limits_of: LimitsOf, timeout_s: float | None) -> Hop[Any, Any]:
    """Return a fallback as a hop; one that is protected itself gets to know the call."""
    if isinstance(function, Protected):
        return function.hop
    return Attempt(function, translate, limits_of, timeout_s)


def _several(fallback: Any) -> list[Any]:
    return [fallback] if callable(fallback) else list(fallback)


def name_of(function: Any) -> str:
    """Return what a function is called in events."""
    return str(getattr(function, "__name__", "") or type(function).__name__)


def quota_of(limits: Limits | Quota | None) -> Quota:
    """Keep limits in this process, unless somebody brings a quota of his own."""
    return MemoryQuota(limits or Limits()) if limits is None or isinstance(limits, Limits) else limits


def counted(tokens: Callable[[Q], float]) -> Callable[[Q], float]:
    """Check what somebody's own function counts, before it spoils the sums."""

    def count(request: Q) -> float:
        found = float(tokens(request))
        if not 0 <= found < 1e12:
            raise ValueError(f"tokens(…) is {found!r}; it must be the tokens that the provider charges, 0 or more")
        return found

    return count


def _cost(tokens: Callable[[Any], float] | None) -> Callable[[Any], Cost]:
    if tokens is None:
        return lambda _request: Cost()
    count = counted(tokens)
    return lambda request: Cost(1.0, count(request))


def _reuse(key: Callable[[Any], Hashable | None], cache: int) -> Reuse:
    def tenants_own(request: Any, call: Call) -> Hashable | None:
        wanted = key(request)
        return None if wanted is None else (call.tenant, wanted)

    return Reuse(tenants_own, LruCache(cache) if cache else None)


async def _refuse_streams(request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
    reply = await inner(request, call)
    if isinstance(reply, Stream):
        await reply.aclose()
        raise TypeError("key= keeps replies for others, and a stream can be read only once; leave key= out")
    return reply


def _check(function: Callable[..., Any], cache: int) -> None:
    if inspect.isasyncgenfunction(function):
        raise TypeError(f"{name_of(function)} is an async generator; write protect(streaming({name_of(function)}), …)")
    if cache < 0:
        raise ValueError(f"cache is {cache!r}; it must be how many replies are kept, or 0 for none")


def check_times(timeout_s: float | None) -> None:
    """Refuse a timeout that could not be one."""
    if timeout_s is not None and not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout_s is {timeout_s!r}; it must be a positive number of seconds, or None for no timeout")


def _moment(deadline_s: float | None) -> float:
    if deadline_s is None:
        return math.inf
    if math.isnan(deadline_s):
        raise ValueError("deadline_s is not a number; it must be seconds from now, or None for no deadline")
    return asyncio.get_running_loop().time() + deadline_s
