"""A provider's limits, as settings give them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """A provider's limits; None means not known: what replies state is believed then, and 429s are counted.

    `burst_s` is how many seconds of the limit the provider's bucket holds: 60 for a bucket a minute deep, 1 where a
    limit is enforced per second. `use` is the fraction of the limit we pace to (0.98-0.99; 0.90-0.95 where limits are
    quantised to fixed seconds).
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_s: float = 60.0
    use: float = 0.99

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e12:
                raise ValueError(f"{name} is {value!r}; it must be a positive number, or None for no limit")
        if not 0 < self.burst_s <= 86_400:
            raise ValueError(f"burst_s is {self.burst_s!r}; it must be above 0 and at most 86400 seconds")
        if not 0 < self.use <= 1:
            raise ValueError(f"use is {self.use!r}; it must be above 0 and at most 1")
