"""Who may call what, and how much of it: keys, models, and one limiter an organisation, project and model."""

from __future__ import annotations

import asyncio
import math

import msgspec

from rushhour.simulator import openai_errors
from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.limiter import RateLimiter
from rushhour.simulator.profiles import UNLISTED, ChatProfile, EmbeddingsProfile
from rushhour.simulator.refusals import BILLING_CODES, OutOfMoney, Refusal, SlowDown


class Customer(msgspec.Struct, frozen=True):
    """Who called, known once the key is accepted: limits hold for an organisation and project, not for a key."""

    organization: str
    project: str = ""


class Quota:
    """The gate of one OpenAI surface."""

    def __init__(self, terms: EmbeddingsProfile | ChatProfile, organization: str, keys: frozenset[str]) -> None:
        self._terms = terms
        self._organization = organization
        self._keys = keys
        self._limiters: dict[tuple[str, str, str], RateLimiter] = {}

    def customer(self, visit: Visit) -> Customer | Reply:
        """Return who calls, or the 401."""
        headers = visit.request.headers
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if self._keys and key not in self._keys:
            return openai_errors.wrong_key(key) if key and scheme.lower() == "bearer" else openai_errors.missing_key()
        return Customer(headers.get("openai-organization") or self._organization, headers.get("openai-project") or "")

    def knows(self, model: str) -> bool:
        """Tell whether a model exists: any does, unless the profile lists some and no others."""
        return not self._terms.models or self._terms.other_models or model in self._terms.models

    def models(self) -> list[str]:
        """Return the listed models, or those that were asked for so far."""
        asked = {model for _, _, model in self._limiters}
        return sorted({*self._terms.models, *asked} if self._terms.other_models else self._terms.models or asked)

    def admit(
        self, visit: Visit, customer: Customer, model: str, tokens: int, tokens_in: int | None = None
    ) -> Reply | None:
        """Debit one request of `tokens`, of which `tokens_in` go in; return None, or the 429 that says why."""
        now = asyncio.get_running_loop().time()
        limiter = self._limiter(customer, model)
        if visit.refusal:
            refusal: Refusal | None = _refusal(visit, limiter, tokens)
            limiter.failed(now)
        else:
            refusal = limiter.admit(tokens, now, tokens_in)
        visit.headers = self._headers(visit, customer, limiter)
        if refusal is None:
            return None
        entry = visit.entry
        entry.throttled, entry.terminal, entry.retry_after = refusal.kind, refusal.terminal, refusal.wait
        if visit.refusal in ("requests", "tokens"):
            visit.headers |= {
                f"x-ratelimit-remaining-{visit.refusal}": "0",
                f"x-ratelimit-reset-{visit.refusal}": "1m0s",
            }
        told: dict[str, str] = {}
        if not refusal.terminal:
            told = {
                "retry-after": str(math.ceil(refusal.wait)),
                "retry-after-ms": str(math.ceil(refusal.wait * 1000)),
            }
        message = refusal.message(model, customer.organization)
        return openai_errors.error(429, message, refusal.type, code=refusal.code, headers=told)

    def refuse(self, visit: Visit, customer: Customer, model: str) -> None:
        """Note a call that is refused as wrong; it counts where unsuccessful calls do."""
        limiter = self._limiter(customer, model)
        limiter.failed(asyncio.get_running_loop().time())
        visit.headers = self._headers(visit, customer, limiter)

    def _headers(self, visit: Visit, customer: Customer, limiter: RateLimiter) -> dict[str, str]:
        return {
            **limiter.headers(asyncio.get_running_loop().time()),
            "openai-organization": customer.organization,
            "openai-version": "2020-10-01",
            "x-request-id": f"req_{visit.draw.hexadecimal('request')}",
        }

    def cost(self, model: str, tokens_in: int, tokens_out: int = 0) -> float:
        """Return the price of a call in $."""
        own = self._terms.models.get(model, UNLISTED)
        price_in = self._terms.price_in if own.price_in is None else own.price_in
        price_out = self._terms.price_out if isinstance(self._terms, ChatProfile) else 0.0
        price_out = price_out if own.price_out is None else own.price_out
        return (tokens_in * price_in + tokens_out * price_out) / 1e6

    def refill(self) -> None:
        """Make every bucket full."""
        self._limiters.clear()

    def _limiter(self, customer: Customer, model: str) -> RateLimiter:
        key = (customer.organization, customer.project, model)
        limiter = self._limiters.get(key)
        if limiter is None:
            own = self._terms.models.get(model, UNLISTED)
            limiter = self._limiters[key] = RateLimiter(
                own.rpm or self._terms.rpm,
                own.tpm or self._terms.tpm,
                own.burst_s or self._terms.burst_s,
                count_unsuccessful=self._terms.count_unsuccessful,
                ramp=self._terms.ramp,
                now=asyncio.get_running_loop().time(),
            )
        return limiter


def _refusal(visit: Visit, limiter: RateLimiter, tokens: int) -> Refusal:
    """Return what a fault has the quota say."""
    match visit.refusal:
        case "requests":
            return limiter.drained("requests", tokens)
        case "tokens":
            return limiter.drained("tokens", tokens)
        case "too_large":
            return limiter.outgrown(tokens)
        case "slow_down":
            return SlowDown(visit.draw.uniform("slow_down.wait", 1.0, 5.0))
        case code if code in BILLING_CODES:
            return OutOfMoney(code)
        case unknown:
            raise ValueError(f"There is no refusal {unknown!r}.")
