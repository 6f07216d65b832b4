"""What the questions cost: one embedding and one chat call for each that nobody asked before, at the known prices."""

from __future__ import annotations

import msgspec

from rushhour.rehearse.planning.provider import Prices
from rushhour.rehearse.planning.traffic import Traffic

OPTIONS = {
    "chat_in": "--price-in",
    "chat_cached_in": "--price-cached-in",
    "chat_out": "--price-out",
    "embed": "--price-embed",
}


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars for `questions`, a day's or (`per` is "rush") the peak's; a part whose price is not known is None.

    `every_one_usd` is what the same questions cost when each is embedded and generated, repeated or not.
    `unknown` are the options that would tell the missing prices.
    """

    per: str
    questions: int
    embeddings_usd: float | None
    chat_in_usd: float | None
    chat_cached_usd: float | None
    chat_out_usd: float | None
    total_usd: float | None
    every_one_usd: float | None
    unknown: list[str]


def cost_of(traffic: Traffic, prices: Prices) -> Cost:
    """Return the cost of a day, or of the peak alone where no day is known."""
    fresh = traffic.a_day * (1 - traffic.repeats)
    amounts = {
        "embed": traffic.question_tokens,
        "chat_in": traffic.prompt_tokens - traffic.cached_tokens,
        "chat_cached_in": traffic.cached_tokens,
        "chat_out": traffic.answer_tokens,
    }
    known = {name: getattr(prices, name) for name in amounts}
    parts = {
        name: 0.0 if not tokens else None if known[name] is None else fresh * tokens * known[name] / 1e6
        for name, tokens in amounts.items()
    }
    found = [part for part in parts.values() if part is not None]
    total = sum(found) if len(found) == len(parts) else None
    return Cost(
        per="rush" if traffic.per_day is None else "day",
        questions=traffic.a_day,
        embeddings_usd=parts["embed"],
        chat_in_usd=parts["chat_in"],
        chat_cached_usd=parts["chat_cached_in"],
        chat_out_usd=parts["chat_out"],
        total_usd=total,
        every_one_usd=None if total is None else total / (1 - traffic.repeats),
        unknown=[OPTIONS[name] for name, part in parts.items() if part is None],
    )
