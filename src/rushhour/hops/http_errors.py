"""What a provider's refusal means: status and body in, one error of our tree out.

The one place that reads a provider's words. Three kinds of 429 are told apart: pace (wait as told), money (no
waiting helps) and impossible (this request can never fit). Sources: OpenAI's error guide and captured replies,
Google's and Pinecone's rpcStatus, Azure, Anthropic, TEI and Ollama.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rushhour.errors import (
    QuotaExhausted,
    Rejected,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamError,
)
from rushhour.hops.complaint import Complaint, read_complaint
from rushhour.hops.limit_headers import grants_nothing
from rushhour.hops.retry_after import advised_wait
from rushhour.hops.transport import Peer, Reply

_MONEY_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "quota_exceeded",
    }
)
_MONEY_WORDS: Final = re.compile(
    r"exceeded your current quota|credit balance is too low|insufficient balance", re.IGNORECASE
)
_MONTH_WORDS: Final = re.compile(r"current month|monthly|/ ?month\b|per month", re.IGNORECASE)
_SIZE_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "max_tokens_per_request",
        "request_too_large",
        "string_above_max_length",
        "array_above_max_length",
    }
)
_SIZE_WORDS: Final = re.compile(
    r"request too large|maximum context length|context length exceeded|context window"
    r"|context limit|max \d+ tokens per request|prompt is too long|input is too long|must have less than \d+ tokens",
    re.IGNORECASE,
)
_LIMIT_REQUESTED: Final = re.compile(
    r"Limit:? (\d{1,15})\b.{0,60}?\bRequested:? (\d{1,15})\b", re.IGNORECASE | re.DOTALL
)
_KEYS: Final = re.compile(r"\b(sk|pcsk|gsk|xai|AIza)[-_]?[\w*\-]{6,}")
_PER_DAY: Final = re.compile(r"PerDay|PerMonth", re.IGNORECASE)

LONGEST_PACE_S: Final = 3600.0
"""A 429 that asks for a longer wait speaks of a day's or a month's quota, not of a pace."""
SLOW_DOWN_S: Final = 5.0
"""The rest after a `slow_down` without advice. OpenAI wants the rate of before for a quarter of an hour, and steps from
there; how fast the rate is after the rest is the pacer's business."""


def provider_error(peer: Peer, reply: Reply, model: str = "") -> UpstreamError:
    """Return the error that a reply of a status other than 2xx stands for; never raises, whatever the body is."""
    return explain(peer, reply, read_complaint(reply), model)


def event_error(peer: Peer, data: bytes, model: str = "") -> UpstreamError:
    """Return the error that an `error` object inside a stream stands for: its status has to be guessed."""
    reply = Reply(500, {}, data)
    complaint = read_complaint(reply)
    return explain(peer, Reply(_guessed_status(complaint), {}, data), complaint, model)


def explain(peer: Peer, reply: Reply, complaint: Complaint, model: str) -> UpstreamError:
    """Classify a complaint that has been read already."""
    said = Said(peer, reply, complaint, model)
    for applies, error in _RULES:
        if applies(said):
            return error(said)
    return _rejected(said)


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal with everything that is known about it."""

    peer: Peer
    reply: Reply
    complaint: Complaint
    model: str

    def says(self, remedy: str) -> str:
        """Return a message that quotes the provider and names the remedy; keys are blotted out."""
        quoted = "an HTML page" if self.complaint.html else self.complaint.message
        quoted = _KEYS.sub(r"\1-***", " ".join(quoted.split()))
        quoted = quoted if len(quoted) <= 300 else quoted[:299] + "…"
        return f"{self.peer.host} answered {self.reply.status}{': ' + quoted if quoted else ''} – {remedy}"

    @property
    def wait(self) -> float | None:
        """The advised wait in seconds."""
        return advised_wait(self.reply.headers, self.complaint.message, self.complaint.details)

    @property
    def names(self) -> set[str]:
        """The complaint's code and type, in lower case."""
        return {self.complaint.code.lower(), self.complaint.type.lower()} - {""}


def _is_money(said: Said) -> bool:
    if said.reply.status == 402:
        return True
    if not 400 <= said.reply.status < 500:
        return False
    if quotas := _quota_ids(said.complaint.details):  # Google says "your current quota" for a minute's, too
        return any(_PER_DAY.search(quota) for quota in quotas)
    if said.names & _MONEY_CODES:
        return True
    if said.reply.status == 429 and _grants_no_more(said):
        return True
    return "rate_limit_exceeded" not in said.names and _MONEY_WORDS.search(said.complaint.message) is not None


def _grants_no_more(said: Said) -> bool:
    """Whether a 429 is about more than a pace: a plan without this model, a day's quota, a month's."""
    if grants_nothing(said.reply.headers) or (said.wait or 0.0) > LONGEST_PACE_S:
        return True
    return _MONTH_WORDS.search(said.complaint.message) is not None


def _is_size(said: Said) -> bool:
    if said.reply.status == 413:
        return True
    if said.reply.status not in (400, 422, 429):
        return False
    if said.names & _SIZE_CODES or _SIZE_WORDS.search(said.complaint.message):
        return True
    stated = _LIMIT_REQUESTED.search(said.complaint.message)
    return stated is not None and int(stated[2]) > int(stated[1])


def _quota_ids(details: list[Any]) -> list[str]:
    """List the quota ids of Google's QuotaFailure."""
    named = [detail["violations"] for detail in details if isinstance(detail, dict) and "violations" in detail]
    violations = [one for several in named if isinstance(several, list) for one in several]
    return [str(one["quotaId"]) for one in violations if isinstance(one, dict) and "quotaId" in one]


def _money(said: Said) -> UpstreamError:
    return QuotaExhausted(
        said.says(f"the account behind {said.peer.setting('API_KEY')} has no quota or credit left: add some there."),
        retry_after=said.wait,
    )


def _size(said: Said) -> UpstreamError:
    return TooLarge(said.says("this request can never fit: send less text or a lower max_tokens."))


def _throttled(said: Said) -> UpstreamError:
    return Throttled(
        said.says(f"slow down; {said.peer.setting('RPM')} and __TPM should be the account's limits."),
        retry_after=said.wait,
    )


def _too_steep(said: Said) -> UpstreamError:
    wait = said.wait
    return Throttled(
        said.says("slow down: the rate of calls rose too steeply for it; it has to stay where it was for a while."),
        retry_after=SLOW_DOWN_S if wait is None else wait,
    )


def _unauthorized(said: Said) -> UpstreamError:
    return Unauthorized(said.says(f"is {said.peer.setting('API_KEY')} right, and may it use this model or index?"))


def _unavailable(said: Said) -> UpstreamError:
    return Unavailable(
        said.says("the provider is failing or overloaded: its status page may say more."), retry_after=said.wait
    )


def _not_found(said: Said) -> UpstreamError:
    model = f" ({said.model!r})" if said.model else ""
    return Rejected(said.says(f"check {said.peer.setting('MODEL')}{model} and {said.peer.setting('BASE_URL')}."))


def _moved(said: Said) -> UpstreamError:
    to = said.reply.headers.get("location", "elsewhere")
    return Rejected(said.says(f"it redirects to {to[:200]}: set {said.peer.setting('BASE_URL')} to where it is now."))


def _rejected(said: Said) -> UpstreamError:
    return Rejected(said.says("the provider refuses this request as wrong."))


_RULES: Final[tuple[tuple[Callable[[Said], bool], Callable[[Said], UpstreamError]], ...]] = (
    (_is_money, _money),
    (_is_size, _size),
    (lambda said: "slow_down" in said.names, _too_steep),
    (lambda said: said.reply.status == 429, _throttled),
    (lambda said: said.reply.status in (401, 403, 407), _unauthorized),
    (lambda said: said.reply.status in (404, 405), _not_found),
    (lambda said: said.reply.status in (408, 425) or said.reply.status >= 500, _unavailable),
    (lambda said: 300 <= said.reply.status < 400, _moved),
)
"""The first rule that applies decides."""


def _guessed_status(complaint: Complaint) -> int:
    if complaint.code.isdecimal() and 400 <= int(complaint.code[:4]) < 600:
        return int(complaint.code[:4])
    names = f"{complaint.code} {complaint.type}".lower()
    for word, status in _STATUS_WORDS:
        if word in names:
            return status
    return 500


_STATUS_WORDS: Final = (
    ("rate_limit", 429),
    ("insufficient_quota", 429),
    ("slow_down", 429),
    ("overloaded", 529),
    ("server_error", 500),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("not_found", 404),
    ("context_length", 400),
    ("invalid_request", 400),
)
