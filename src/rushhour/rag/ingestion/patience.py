"""How often a file that failed is tried again, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rushhour.errors import (
    DeadlineExceeded,
    QuotaExhausted,
    Refusal,
    RushhourError,
    SettingsError,
    Unauthorized,
)

HOPELESS = (Unauthorized, QuotaExhausted, DeadlineExceeded, SettingsError)
"""What would befall every other file too: the ingestion is given up."""


def is_transient(cause: RushhourError) -> bool:
    """Whether the same file may succeed later: an upstream's bad moment, or our own refusal for now."""
    return cause.may_pass or isinstance(cause, Refusal)


@dataclass(frozen=True, slots=True)
class Patience:
    """A file has `attempts`; between them lie `first_s`, twice that, and so on up to `longest_s`, give or take half.

    The hops have retried each call by then, so this is for outages that last longer than a call's patience. A file
    that another ingestion works on is looked at again after `taken_s`, however often that takes.
    """

    attempts: int = 3
    first_s: float = 2.0
    longest_s: float = 60.0
    taken_s: float = 1.0

    def wait(self, attempt: int, cause: RushhourError, rng: random.Random) -> float | None:
        """Return how many seconds to wait after a failed attempt (the first is 1), or None to try no more."""
        if attempt >= self.attempts or not is_transient(cause):
            return None
        backoff = min(self.first_s * 2.0 ** (attempt - 1), self.longest_s) * rng.uniform(0.5, 1.5)
        return max(backoff, min(cause.retry_after or 0.0, self.longest_s))
