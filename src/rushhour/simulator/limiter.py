"""OpenAI's limiter, as recovered from its published messages: a continuous token bucket.

Capacity `L·burst_s/60`, refill `L/60` a second. A refused call is told `W = (U + R − L)/(L/60)`, U being what is
used and R what was requested. `burst_s` is 60 where a whole minute may be spent at once and 1 where the limit is
enforced per second. Then U is still told in minutes' terms, `L` minus what is available, so that the formula holds
for whoever reads the message. Pure: the time, in seconds of any clock, is an argument.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rushhour.simulator.durations import go_duration

Dimension: TypeAlias = Literal["requests", "tokens"]
_SHORT: dict[Dimension, str] = {"requests": "RPM", "tokens": "TPM"}
_LEARN_MORE = "Visit https://platform.openai.com/account/rate-limits to learn more."
_ROUNDING = 1e-6


class Bucket:
    """One dimension of a limit: `per_minute` units a minute, at most `burst_s` seconds of them at once."""

    __slots__ = ("_at", "_used", "capacity", "limit", "rate")

    def __init__(self, per_minute: float, burst_s: float = 60.0, now: float = 0.0) -> None:
        self.limit = per_minute
        self.rate = per_minute / 60.0
        self.capacity = self.rate * burst_s
        self._used = 0.0
        self._at = now

    def used(self, now: float) -> float:
        """Return how much is spent at `now`: from 0 to the capacity, and beyond it only after an oversized call."""
        if now > self._at:
            self._used = max(0.0, self._used - (now - self._at) * self.rate)
            self._at = now
        return self._used

    def fits(self, cost: float, now: float) -> bool:
        """Tell whether `cost` may pass now.

        A call larger than the bucket is deep passes when the bucket is full, and leaves a debt: else it never could.
        """
        return self.used(now) + min(cost, self.capacity) <= self.capacity + _ROUNDING

    def take(self, cost: float, now: float) -> None:
        """Spend `cost`, asked first whether it fits."""
        self._used = self.used(now) + cost

    def take_one_if_left(self, now: float) -> None:
        """Spend one unit, but never more than there is: how a refused call counts."""
        self._used = max(self.used(now), min(self.capacity, self.used(now) + 1.0))

    def used_of_limit(self, now: float) -> int:
        """Return U as messages tell it: the limit minus what is available, in whole units, rounded up."""
        return math.ceil(self.limit - self.capacity + self.used(now) - _ROUNDING)

    def wait(self, cost: float, now: float) -> float:
        """Return W in seconds for a call that does not fit, from the whole units that its message tells."""
        return (self.used_of_limit(now) + min(cost, self.capacity) - self.limit) / self.rate

    def remaining(self, now: float) -> int:
        """Return the whole units that may pass now."""
        return max(0, math.floor(self.capacity - self.used(now) + _ROUNDING))

    def reset(self, now: float) -> float:
        """Return the seconds until the bucket is full."""
        return self.used(now) / self.rate


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A refusal for now: come back after `wait` seconds."""

    dimension: Dimension
    limit: int
    used: int
    requested: int
    wait: float

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        return (
            f"Rate limit reached for {model} in organization {organization} on {self.dimension} per min "
            f"({_SHORT[self.dimension]}): Limit {self.limit}, Used {self.used}, Requested {self.requested}. "
            f"Please try again in {go_duration(self.wait)}. {_LEARN_MORE}"
        )


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A refusal for ever: the call alone is larger than the limit."""

    dimension: Dimension
    limit: int
    requested: int

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        return (
            f"Request too large for {model} in organization {organization} on {self.dimension} per min "
            f"({_SHORT[self.dimension]}): Limit {self.limit}, Requested {self.requested}. The input or output tokens "
            f"must be reduced in order to run successfully. {_LEARN_MORE}"
        )


class RateLimiter:
    """The limits of one organisation on one model: requests and tokens are debited together, or neither."""

    def __init__(
        self, rpm: int, tpm: int, burst_s: float = 60.0, *, count_unsuccessful: bool = False, now: float = 0.0
    ) -> None:
        self._buckets: dict[Dimension, Bucket] = {
            "requests": Bucket(rpm, burst_s, now),
            "tokens": Bucket(tpm, burst_s, now),
        }
        self._count_unsuccessful = count_unsuccessful

    def admit(self, tokens: int, now: float) -> Exceeded | TooLarge | None:
        """Debit one request of `tokens` at `now` and return None, or debit nothing and return the refusal.

        Where both dimensions refuse, the one that must be waited for longer is told.
        """
        refusal = self._refusal(tokens, now)
        if refusal is None:
            for dimension, bucket in self._buckets.items():
                bucket.take(self._cost(dimension, tokens), now)
        else:
            self.failed(now)
        return refusal

    def failed(self, now: float) -> None:
        """Note a call that did not succeed: it counts as a request where the provider counts such calls."""
        if self._count_unsuccessful:
            self._buckets["requests"].take_one_if_left(now)

    def headers(self, now: float) -> dict[str, str]:
        """Return `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as they stand at `now`."""
        told: dict[str, str] = {}
        for dimension, bucket in self._buckets.items():
            told[f"x-ratelimit-limit-{dimension}"] = str(int(bucket.limit))
            told[f"x-ratelimit-remaining-{dimension}"] = str(bucket.remaining(now))
            told[f"x-ratelimit-reset-{dimension}"] = go_duration(bucket.reset(now))
        return told

    def _refusal(self, tokens: int, now: float) -> Exceeded | TooLarge | None:
        refusals: list[Exceeded] = []
        for dimension, bucket in self._buckets.items():
            cost = self._cost(dimension, tokens)
            if cost > bucket.limit:
                return TooLarge(dimension, int(bucket.limit), cost)
            if not bucket.fits(cost, now):
                used, wait = bucket.used_of_limit(now), bucket.wait(cost, now)
                refusals.append(Exceeded(dimension, int(bucket.limit), used, cost, wait))
        return max(refusals, key=lambda refusal: refusal.wait, default=None)

    @staticmethod
    def _cost(dimension: Dimension, tokens: int) -> int:
        return 1 if dimension == "requests" else tokens
