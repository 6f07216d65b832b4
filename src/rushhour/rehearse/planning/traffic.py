"""The traffic that a plan is for: how many ask in the peak, how long it lasts, and what one question takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from rushhour.settings import ChatSettings

HOUR_S = 3_600.0
PEAK_HOUR = 0.2
"""Of a day's questions, the share that comes in its busiest hour, where nothing else is said."""
REMEMBERED_S = 3_600.0
"""For how long an answer is as good as new, by default: repeats within it cost nothing."""


@dataclass(frozen=True)
class Traffic:
    """A peak of `users` within `over_s` seconds, and perhaps a day of `per_day` questions around it.

    `prompt_tokens` is a whole prompt (instructions, passages, question), `cached_tokens` what of it the provider's
    prompt cache remembers, `question_tokens` the question alone, as it is embedded. `max_tokens` is the ceiling that a
    call asks for: providers charge it against their limits. `repeats` is the share of questions that are the same as
    one that is being answered or was, and so reach no provider.
    """

    users: int
    over_s: float
    per_day: int | None = None
    prompt_tokens: int = 3_000
    answer_tokens: int = 250
    max_tokens: int = ChatSettings.model_fields["max_tokens"].default
    question_tokens: int = 25
    cached_tokens: int = 0
    repeats: float = 0.0
    patience_s: float = 60.0
    told: str = ""

    @cached_property
    def asked(self) -> float:
        """Questions of the peak that reach a provider."""
        return self.users * (1.0 - self.repeats)

    @cached_property
    def per_s(self) -> float | None:
        """Questions a second that reach a provider in the peak; None when all come at once."""
        return self.asked / self.over_s if self.over_s else None

    @property
    def a_day(self) -> int:
        """Questions that a cost is for: a day's, or the peak's where no day is known."""
        return self.users if self.per_day is None else self.per_day

    def changed(self, **changes: float) -> Traffic:
        """Return the same traffic with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # the callers name fields of numbers
