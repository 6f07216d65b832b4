"""A provider in this process, on the event loop's clock: it limits exactly, takes its time, and fails by seed.

Its buckets are kept as levels, and share no code with the pacer they are used against.
"""

from __future__ import annotations

import asyncio
import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rushhour.errors import ConnectionLost, Throttled, Unavailable
from rushhour.flow.allowance import Allowance, LimitHeaders, LimitsSeen
from rushhour.flow.call import Call
from rushhour.flow.ledger.contract import Cost

STRANGERS_TOKENS = 500
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: its number, and the tokens it is charged."""

    number: int
    tokens: int = 0


def cost_of(ask: Ask) -> Cost:
    """Charge as the provider does."""
    return Cost(1.0, float(ask.tokens))


class Meter(Protocol):
    """One dimension of a provider's limit."""

    limit: float

    def wait(self, cost: float, now: float) -> float:
        """Seconds until this would be admitted; 0 means now."""
        ...

    def take(self, cost: float, now: float) -> None:
        """Debit what was admitted."""
        ...

    def remaining(self, now: float) -> float:
        """Return what may still be spent now."""
        ...

    def allowed(self, until: float) -> float:
        """Return the most that can be admitted from time 0 until then, from full."""
        ...

    def last_whole(self, now: float) -> float:
        """Return the latest time until which use can be judged: within a window it cannot."""
        ...


class TokenBucket:
    """A continuous bucket, `depth_s` seconds of the limit deep; what is larger than it passes when it is full."""

    def __init__(self, per_minute: float, depth_s: float) -> None:
        self.limit = per_minute
        self._rate = per_minute / 60
        self._depth = self._rate * depth_s
        self._level = self._depth
        self._at = 0.0

    def wait(self, cost: float, now: float) -> float:
        """Seconds until the bucket holds the cost."""
        missing = min(cost, self._depth) - self.remaining(now)
        return missing / self._rate if missing > _ROUNDING else 0.0

    def take(self, cost: float, now: float) -> None:
        """Take it out."""
        self._level = self.remaining(now) - cost

    def remaining(self, now: float) -> float:
        """Return what the bucket holds."""
        if now > self._at:
            self._level = min(self._depth, self._level + (now - self._at) * self._rate)
            self._at = now
        return self._level

    def allowed(self, until: float) -> float:
        """Return its depth and what flows in."""
        return self._depth + self._rate * until

    def last_whole(self, now: float) -> float:
        """Judge at any time."""
        return now


class FixedWindows:
    """A counter that begins anew every `window_s` seconds of the clock, as some gateways limit."""

    def __init__(self, per_minute: float, window_s: float) -> None:
        self.limit = per_minute
        self._window = window_s
        self._most = per_minute * window_s / 60
        self._number = -1
        self._used = 0.0

    def wait(self, cost: float, now: float) -> float:
        """Seconds until a window has room."""
        self._turn(now)
        if self._used + min(cost, self._most) <= self._most + 1e-6:
            return 0.0
        return max((self._number + 1) * self._window - now, 1e-4)

    def take(self, cost: float, now: float) -> None:
        """Count it."""
        self._turn(now)
        self._used += cost

    def remaining(self, now: float) -> float:
        """Return what this window still admits."""
        self._turn(now)
        return max(0.0, self._most - self._used)

    def allowed(self, until: float) -> float:
        """Return what all windows begun by then admit."""
        return self._most * math.ceil(until / self._window)

    def last_whole(self, now: float) -> float:
        """Return the end of the last window that is over."""
        return math.floor(now / self._window) * self._window

    def _turn(self, now: float) -> None:
        number = math.floor(now / self._window + 1e-9)
        if number != self._number:
            self._number, self._used = number, 0.0


@dataclass(frozen=True, slots=True)
class Manners:
    """How the provider behaves: seconds on the way there, seconds to answer (median and σ of a lognormal), faults."""

    way_s: float = 0.02
    answer_s: float = 0.55
    sigma: float = 0.3
    unavailable: float = 0.0
    lost: float = 0.0
    tells_limits: bool = True


@dataclass(slots=True)
class Counted:
    """What arrived: when calls were admitted, what they cost, how many were not."""

    admitted_at: array[float] = field(default_factory=lambda: array("d"))
    admitted_tokens: array[float] = field(default_factory=lambda: array("d"))
    throttled: int = 0
    failed: int = 0


class Provider:
    """A hop with an exact limit in each dimension; None means none."""

    def __init__(self, requests: Meter | None, tokens: Meter | None, manners: Manners, seed: int) -> None:
        self._meters: Sequence[tuple[Meter, bool]] = [
            (meter, is_tokens) for meter, is_tokens in ((requests, False), (tokens, True)) if meter is not None
        ]
        self._requests, self._tokens = requests, tokens
        self._manners = manners
        self._random = random.Random(seed)
        self.counted = Counted()

    async def __call__(self, request: Ask, call: Call) -> int:
        """Admit or throttle on arrival, tell the limits, then answer with the call's number."""
        manners, chance = self._manners, self._random
        if manners.way_s:
            await asyncio.sleep(chance.expovariate(1 / manners.way_s))
        now = asyncio.get_running_loop().time()
        wait = max((meter.wait(request.tokens if tokens else 1, now) for meter, tokens in self._meters), default=0.0)
        if wait:
            self.counted.throttled += 1
            self._tell(call, now)
            raise Throttled("Rate limit reached.", retry_after=wait)
        for meter, tokens in self._meters:
            meter.take(request.tokens if tokens else 1, now)
        self.counted.admitted_at.append(now)
        self.counted.admitted_tokens.append(request.tokens)
        luck = chance.random()
        await asyncio.sleep(manners.answer_s * math.exp(chance.gauss(0.0, manners.sigma)))
        self._fail(luck)
        self._tell(call, now)
        return request.number

    def serve_a_stranger(self) -> None:
        """Admit a call of somebody else who uses the same account."""
        now = asyncio.get_running_loop().time()
        for meter, tokens in self._meters:
            meter.take(STRANGERS_TOKENS if tokens else 1, now)

    def _fail(self, luck: float) -> None:
        manners = self._manners
        if luck >= manners.unavailable + manners.lost:
            return
        self.counted.failed += 1
        raise Unavailable("502") if luck < manners.unavailable else ConnectionLost("reset")

    def _tell(self, call: Call, now: float) -> None:
        if self._manners.tells_limits:
            call.emit(LimitsSeen(call.hop, LimitHeaders(_told(self._requests, now), _told(self._tokens, now))))


def _told(meter: Meter | None, now: float) -> Allowance | None:
    return (
        None if meter is None else Allowance(meter.limit, float(max(0, math.floor(meter.remaining(now) + _ROUNDING))))
    )
