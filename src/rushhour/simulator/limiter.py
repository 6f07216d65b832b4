"""OpenAI's limiter, as recovered from its published messages: a continuous token bucket.

Capacity `L·burst_s/60`, refill `L/60` a second. A refused call is told `W = (U + R − L)/(L/60)`, U being what is
used and R what was requested. `burst_s` is 60 where a whole minute may be spent at once and 1 where the limit is
enforced per second. Then U is still told in minutes' terms, `L` minus what is available, so that the formula holds
for whoever reads the message. Pure: the time, in seconds of any clock, is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from rushhour.simulator.durations import go_duration
from rushhour.simulator.ramp import Ramp, RampSpec
from rushhour.simulator.refusals import Dimension, Exceeded, SlowDown, TooLarge

NO_LIMIT: Final = 1_000_000_000_000
"""A limit a minute from which on there is none: a server of one's own counts nothing, and tells nothing."""
_ROUNDING = 1e-6
_NAMES: Final[Mapping[Dimension, tuple[str, str, str]]] = {
    "requests": ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    "tokens": ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
}


class Level(NamedTuple):
    """How a limit stands, in whole units: all of it, what is left, and the seconds until it is full again."""

    limit: int
    remaining: int
    reset_s: float


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

    def level(self, now: float) -> Level:
        """Return how the limit stands: the whole units that may pass now, and the seconds until the bucket is full."""
        used = self.used(now)
        return Level(int(self.limit), max(0, math.floor(self.capacity - used + _ROUNDING)), used / self.rate)


class RateLimiter:
    """The limits of one organisation on one model: requests and tokens are debited together, or neither."""

    def __init__(
        self,
        rpm: int,
        tpm: int,
        burst_s: float = 60.0,
        *,
        count_unsuccessful: bool = False,
        ramp: RampSpec | None = None,
        now: float = 0.0,
    ) -> None:
        self._requests = Bucket(rpm, burst_s, now)
        self._tokens = Bucket(tpm, burst_s, now)
        self._count_unsuccessful = count_unsuccessful
        self._ramps = _ramps(ramp, now)

    def admit(self, tokens: int, now: float, tokens_in: int | None = None) -> Exceeded | TooLarge | SlowDown | None:
        """Debit one request of `tokens` at `now` and return None, or debit nothing and return the refusal.

        Where both dimensions refuse, the one that must be waited for longer is told. The ramp goes by `tokens_in`,
        the tokens of the prompt, or by `tokens` where that is not known.
        """
        entering = tokens if tokens_in is None else tokens_in
        refusal = self._refusal(tokens, now) or self._too_steep(entering, now)
        if refusal is None:
            self._requests.take(1, now)
            self._tokens.take(tokens, now)
            for dimension, ramp in self._ramps:
                ramp.take(1 if dimension == "requests" else entering, now)
        else:
            self.failed(now)
        return refusal

    def drained(self, dimension: Dimension, tokens: int) -> Exceeded:
        """Return the refusal of a limit that is used up to its last unit, by others of the organisation, say."""
        bucket, cost = self._of(dimension, tokens)
        return Exceeded(dimension, int(bucket.limit), int(bucket.limit), cost, min(cost, bucket.limit) / bucket.rate)

    def outgrown(self, tokens: int) -> TooLarge:
        """Return the refusal of a call that can never fit, one token over the limit at least."""
        return TooLarge("tokens", int(self._tokens.limit), max(tokens, int(self._tokens.limit) + 1))

    def failed(self, now: float) -> None:
        """Note a call that did not succeed: it counts as a request where the provider counts such calls."""
        if self._count_unsuccessful:
            self._requests.take_one_if_left(now)

    def headers(self, now: float) -> dict[str, str]:
        """Return `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as they stand at `now`.

        There are none of a limit that is none.
        """
        told: dict[str, str] = {}
        for dimension, names in _NAMES.items():
            level = self.level(dimension, now)
            if level.limit >= NO_LIMIT:
                continue
            told[names[0]] = str(level.limit)
            told[names[1]] = str(level.remaining)
            told[names[2]] = go_duration(level.reset_s)
        return told

    def level(self, dimension: Dimension, now: float) -> Level:
        """Return how one limit stands at `now`."""
        return (self._requests if dimension == "requests" else self._tokens).level(now)

    def _refusal(self, tokens: int, now: float) -> Exceeded | TooLarge | None:
        if tokens > self._tokens.limit:
            return TooLarge("tokens", int(self._tokens.limit), tokens)
        longest: Exceeded | None = None
        for dimension in _NAMES:
            bucket, cost = self._of(dimension, tokens)
            if not bucket.fits(cost, now):
                used, wait = bucket.used_of_limit(now), bucket.wait(cost, now)
                if longest is None or wait > longest.wait:
                    longest = Exceeded(dimension, int(bucket.limit), used, cost, wait)
        return longest

    def _too_steep(self, tokens: int, now: float) -> SlowDown | None:
        waits = [
            ramp.wait(cost, now)
            for dimension, ramp in self._ramps
            if not ramp.fits(cost := 1 if dimension == "requests" else tokens, now)
        ]
        return SlowDown(max(waits)) if waits else None

    def _of(self, dimension: Dimension, tokens: int) -> tuple[Bucket, int]:
        return (self._requests, 1) if dimension == "requests" else (self._tokens, tokens)


def _ramps(spec: RampSpec | None, now: float) -> list[tuple[Dimension, Ramp]]:
    if spec is None:
        return []
    floors: list[tuple[Dimension, int | None]] = [("requests", spec.above_rpm), ("tokens", spec.above_tpm)]
    return [(dimension, Ramp(above, spec.growth, spec.per_s, now)) for dimension, above in floors if above is not None]
