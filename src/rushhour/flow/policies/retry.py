"""The one place where anything is tried again (rule 3).

A 429 goes back into the pacer at the advised time plus jitter, never earlier; without advice, equal jitter. Other
failures that may pass get full jitter ("Exponential Backoff And Jitter", AWS 2015) and spend a budget that success
refills (botocore's retry quota), so that a failing upstream is not hit harder because it fails. A 429 and an open
circuit spend no budget: the pacer's gate and the breaker already bound what they can cause, and rule 1 forbids
surfacing them while there is time. Advice that nobody can have meant (negative, NaN, more than a week) is no advice.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from rushhour.errors import CircuitOpen, RetryBudgetSpent, RushhourError, Throttled
from rushhour.flow.call import Call, Event, Hop

LONGEST_ADVICE_S = 7 * 86_400.0
"""A longer wait than this is a mistake of the sender's, not advice."""
PATIENT_AFTER = 5
"""So many attempts take advice as it is; after them the wait is as long as backoff was before, ..."""
LONGEST_FLOOR_S = 1.0
"""... up to this: an upstream that says "in a millisecond" for ever is asked about once a second."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Backoff in seconds, budget in tokens (botocore: 500 of them, 14 a retry).

    `circuit_patience_s` is the longest wait for an open circuit: short where a fallback stands ready.
    """

    base_s: float = 0.05
    cap_s: float = 20.0
    budget: float = 500.0
    price: float = 14.0
    circuit_patience_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s < math.inf:
            raise ValueError(
                f"base_s is {self.base_s!r} and cap_s {self.cap_s!r}; both must be positive numbers of seconds, and "
                "the base no longer than the cap"
            )
        for name in ("budget", "price", "circuit_patience_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be 0 or more")


class Retried(Event, frozen=True):
    """The attempt with this number failed; the next one starts after `wait` seconds."""

    attempt: int
    wait: float
    cause: RushhourError


class Retry:
    """Try again while the failure may pass, the budget allows and the deadline is far enough."""

    def __init__(self, settings: RetrySettings | None = None, rng: random.Random | None = None) -> None:
        self._settings = settings or RetrySettings()
        self._random = rng or random.Random()
        self._budget = self._settings.budget

    async def __call__(self, request: Any, call: Call, inner: Hop[Any, Any]) -> Any:
        """Return the first reply; raise the last failure."""
        attempt = 1
        while True:
            try:
                reply = await inner(request, call)
            except RushhourError as cause:
                if not cause.may_pass:
                    raise
                wait = self._wait(cause, attempt)
                if self._is_too_long(wait, cause, call):
                    raise
                self._spend(cause, call)
                call.emit(Retried(call.hop, attempt, wait, cause))
                if not isinstance(cause, CircuitOpen):  # whoever met an open circuit has asked nobody yet
                    call = structs.replace(call, again=True)
            else:
                self._refill(attempt)
                return reply
            await asyncio.sleep(wait)
            attempt += 1

    def _is_too_long(self, wait: float, cause: RushhourError, call: Call) -> bool:
        if isinstance(cause, CircuitOpen) and wait > self._settings.circuit_patience_s:
            return True
        return asyncio.get_running_loop().time() + wait >= call.deadline

    def _wait(self, cause: RushhourError, attempt: int) -> float:
        backoff = self._backoff(attempt)
        advised = _advice(cause)
        if advised is not None:
            floor = min(self._backoff(attempt - PATIENT_AFTER), LONGEST_FLOOR_S)
            return max(advised + self._random.uniform(0, 0.2 * advised), self._random.uniform(floor / 2, floor))
        if isinstance(cause, Throttled):
            return backoff / 2 + self._random.uniform(0, backoff / 2)
        return self._random.uniform(0, backoff)

    def _backoff(self, attempt: int) -> float:
        return float(min(self._settings.base_s * 2.0 ** min(attempt, 30), self._settings.cap_s))

    def _spend(self, cause: RushhourError, call: Call) -> None:
        if isinstance(cause, Throttled | CircuitOpen):
            return
        if self._budget < self._settings.price:
            raise RetryBudgetSpent(
                f"{call.hop or 'The upstream'} failed ({cause}) and too many calls failed lately to try again.",
                retry_after=self._settings.cap_s / 4,
            ) from cause
        self._budget -= self._settings.price

    def _refill(self, attempt: int) -> None:
        credit = self._settings.price if attempt > 1 else 1.0
        self._budget = min(self._settings.budget, self._budget + credit)


def _advice(cause: RushhourError) -> float | None:
    """Return the seconds that the failure advises, if somebody can have meant them."""
    seconds = cause.retry_after
    return seconds if seconds is not None and 0 < seconds <= LONGEST_ADVICE_S else None
