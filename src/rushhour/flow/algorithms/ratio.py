"""How many tokens a character is, learned from what a provider counted: the size of a prompt before it is sent."""

from __future__ import annotations

import math

USUAL = 0.25
"""Four characters a token: English prose, as OpenAI's limiter estimates it."""
LEAST, MOST = 0.05, 3.0
"""No tokenizer is outside: long runs of spaces are the cheapest text, rare scripts the dearest."""
MEMORY = 200_000
"""Characters after which what was learned weighs half."""
PRIOR = 2_000
"""Characters that the first guess weighs."""


class TokenRatio:
    """Tokens a character, averaged over the last few hundred thousand characters; long prompts weigh more."""

    def __init__(self, usual: float = USUAL) -> None:
        if not LEAST <= usual <= MOST:
            raise ValueError(f"tokens a character are {usual!r}; they must be from {LEAST} to {MOST}")
        self._characters = float(PRIOR)
        self._tokens = usual * PRIOR

    @property
    def per_character(self) -> float:
        """The present estimate."""
        return self._tokens / self._characters

    def tokens(self, characters: float) -> float:
        """Estimate the tokens of a text."""
        return characters * self.per_character

    def learn(self, characters: float, tokens: float) -> None:
        """Believe a count; what no tokenizer could have counted (images, a hidden preamble) is left out."""
        if not (characters > 0 and math.isfinite(characters) and LEAST <= tokens / characters <= MOST):
            return
        kept = 0.5 ** (characters / MEMORY)
        self._characters = kept * self._characters + characters
        self._tokens = kept * self._tokens + tokens
