"""The 429s of the OpenAI surfaces, in the provider's words: five kinds, of which two may never be tried again.

The sixth kind, a vector store's limit per namespace, has the vector store's own shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from rushhour.simulator.durations import go_duration

Dimension: TypeAlias = Literal["requests", "tokens"]
_SHORT: Mapping[Dimension, str] = {"requests": "RPM", "tokens": "TPM"}
_LEARN_MORE = "Visit https://platform.openai.com/account/rate-limits to learn more."
_BILLING_WORDS: Mapping[str, str] = {
    "insufficient_quota": (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
    ),
    "credit_balance_exhausted": "Your credit balance is exhausted. Add credits to continue using the API.",
    "organization_spend_limit_exceeded": "Your organization has reached its monthly spend limit.",
    "project_spend_limit_exceeded": "This project has reached its monthly spend limit.",
    "organization_usage_limit_exceeded": "Your organization has reached its approved usage limit.",
}
BILLING_CODES = tuple(_BILLING_WORDS)
"""The codes that mean money: waiting does not help."""


class Refusal(Protocol):
    """Why a call is refused: `kind` in the ledger, the body's type and code, the wait in seconds, whether for ever."""

    @property
    def kind(self) -> str:
        """The name in the ledger."""
        ...

    @property
    def type(self) -> str:
        """The body's `type`."""
        ...

    @property
    def code(self) -> str:
        """The body's `code`."""
        ...

    @property
    def wait(self) -> float:
        """Seconds until another attempt makes sense."""
        ...

    @property
    def terminal(self) -> bool:
        """Whether no attempt ever makes sense."""
        ...

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        ...


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A refusal for now: come back after `wait` seconds."""

    dimension: Dimension
    limit: int
    used: int
    requested: int
    wait: float
    code: str = "rate_limit_exceeded"
    terminal: bool = False

    @property
    def kind(self) -> str:
        """The dimension."""
        return self.dimension

    @property
    def type(self) -> str:
        """The dimension."""
        return self.dimension

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        return (
            f"Rate limit reached for {model} in organization {organization} on {self.dimension} per min "
            f"({_SHORT[self.dimension]}): Limit {self.limit}, Used {self.used}, Requested {self.requested}. "
            f"Please try again in {go_duration(self.wait)}. {_LEARN_MORE}"
        )


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A refusal for ever: the call alone is larger than the limit. It has the code of a refusal for now."""

    dimension: Dimension
    limit: int
    requested: int
    kind: str = "too_large"
    code: str = "rate_limit_exceeded"
    wait: float = 0.0
    terminal: bool = True

    @property
    def type(self) -> str:
        """The dimension."""
        return self.dimension

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        return (
            f"Request too large for {model} in organization {organization} on {self.dimension} per min "
            f"({_SHORT[self.dimension]}): Limit {self.limit}, Requested {self.requested}. The input or output tokens "
            f"must be reduced in order to run successfully. {_LEARN_MORE}"
        )


@dataclass(frozen=True, slots=True)
class SlowDown:
    """A refusal for now: traffic grew too steeply, even inside RPM and TPM."""

    wait: float
    kind: str = "slow_down"
    type: str = "rate_limit_error"
    code: str = "slow_down"
    terminal: bool = False

    def message(self, model: str, organization: str) -> str:
        """Say it in OpenAI's words."""
        return (
            f"Slow down: a sudden increase in your request rate for {model} in organization {organization} is "
            "impacting service reliability. Please reduce your request rate to its original level, maintain a "
            "consistent rate for at least 15 minutes, and then gradually increase it."
        )


@dataclass(frozen=True, slots=True)
class OutOfMoney:
    """A refusal until somebody pays."""

    code: str = "insufficient_quota"
    kind: str = "billing"
    type: str = "insufficient_quota"
    wait: float = 0.0
    terminal: bool = True

    def message(self, model: str, organization: str) -> str:  # noqa: ARG002 - the provider names neither
        """Say it in OpenAI's words."""
        return _BILLING_WORDS[self.code]
