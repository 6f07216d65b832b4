"""What a provider remembers of prompts: the beginnings that it saw lately cost less.

As OpenAI documents it: a prefix counts from 1,024 tokens on, in steps of 128, and is forgotten after some minutes in
which nobody used it. Pure: the time, in seconds of any clock, is an argument.
"""

from __future__ import annotations

from rushhour.simulator.lru import LeastRecentlyUsed
from rushhour.simulator.tokens import CHARACTERS_PER_TOKEN

_STEP_TOKENS = 128
_LEAST_STEPS = 8
SHORTEST = _LEAST_STEPS * _STEP_TOKENS * CHARACTERS_PER_TOKEN
"""Characters of a prompt of which anything is remembered."""
_CACHED_PREFIXES = 131_072


class PromptCache:
    """The prefixes that each owner used within the last `keep_s` seconds; 0 keeps none."""

    def __init__(self, keep_s: float) -> None:
        self._keep = keep_s
        self._seen: LeastRecentlyUsed[int, float] = LeastRecentlyUsed(_CACHED_PREFIXES)

    def cached(self, owner: str, prompt: str, now: float) -> int:
        """Return how many tokens of a prompt are remembered from earlier ones, and remember all of it."""
        if not self._keep or len(prompt) < SHORTEST:
            return 0
        step = _STEP_TOKENS * CHARACTERS_PER_TOKEN
        prefix, known = hash(owner), 0
        for number in range(1, len(prompt) // step + 1):
            prefix = hash((prefix, prompt[(number - 1) * step : number * step]))
            if number < _LEAST_STEPS:
                continue
            seen = self._seen.get(prefix)
            if seen is not None and now - seen <= self._keep:
                known = number
            self._seen.put(prefix, now)
        return known * _STEP_TOKENS

    def forget(self) -> None:
        """Forget every prefix."""
        self._seen = LeastRecentlyUsed(_CACHED_PREFIXES)
