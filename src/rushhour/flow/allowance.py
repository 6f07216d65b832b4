"""A provider's limits as its replies state them; adapters read them, the pacer learns from them."""

from __future__ import annotations

import msgspec

from rushhour.flow.call import Event


class Allowance(msgspec.Struct, frozen=True):
    """One limit of a provider: how much in all, how much is left, seconds until it is full again, seconds it is for.

    OpenAI's `reset` is the time until full of a continuous bucket, so (limit, remaining, reset) tell its depth
    and its rate; some providers name the window, as in "a minute". What is left out, or written wrongly, is None: a
    limit that is told is above 0, and what remains of it is from 0 up to the limit.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    window_s: float | None = None

    @property
    def spent(self) -> bool:
        """Whether the provider says that nothing is left."""
        return self.remaining is not None and self.remaining <= 0


class LimitHeaders(msgspec.Struct, frozen=True):
    """The limits on requests and on tokens that one reply stated."""

    requests: Allowance | None = None
    tokens: Allowance | None = None


class LimitsSeen(Event, frozen=True):
    """A provider stated its limits; pacing may learn from it."""

    limits: LimitHeaders
