"""From the keys of a plan to its traffic; what contradicts itself is told."""

from __future__ import annotations

from rushhour.errors import InvalidRequest
from rushhour.rehearse.planning.keys import PlanKeys, option
from rushhour.rehearse.planning.provider import Provider
from rushhour.rehearse.planning.repeats import zipf_repeats
from rushhour.rehearse.planning.spans import rate, span
from rushhour.rehearse.planning.traffic import HOUR_S, PEAK_HOUR, REMEMBERED_S, Traffic

_PEAK_FOR_S = 300.0


def traffic_of(keys: PlanKeys) -> Traffic:
    """Return the traffic that the keys describe; raises InvalidRequest for a description that is none, or two."""
    users, over_s, told = _peak(keys)
    traffic = Traffic(
        users=users,
        over_s=over_s,
        per_day=keys.per_day,
        prompt_tokens=keys.prompt_tokens,
        answer_tokens=keys.answer_tokens,
        max_tokens=keys.max_tokens or max(Traffic.max_tokens, keys.answer_tokens),
        question_tokens=keys.question_tokens,
        cached_tokens=keys.cached_tokens,
        patience_s=keys.patience,
        told=told,
    )
    _require(
        keys.max_tokens is None or keys.max_tokens >= keys.answer_tokens,
        f"max_tokens is {keys.max_tokens}, less than an answer of {keys.answer_tokens:,} tokens: answers would be cut "
        "off. Give a larger --max-tokens or a smaller --answer-tokens.",
    )
    _require(
        keys.cached_tokens <= keys.prompt_tokens,
        f"cached_tokens is {keys.cached_tokens}, more than the prompt's {keys.prompt_tokens:,} tokens. Give a smaller "
        "--cached-tokens.",
    )
    _require(
        keys.question_tokens <= keys.prompt_tokens,
        f"question_tokens is {keys.question_tokens}, more than the prompt's {keys.prompt_tokens:,} tokens, of which "
        "the "
        "question is a part. Give a smaller --question-tokens.",
    )
    return traffic.changed(repeats=_repeats(keys, users, over_s))


def check_call(traffic: Traffic, provider: Provider) -> None:
    """Refuse a call that the provider would refuse for ever; raises InvalidRequest."""
    chat = provider.chat
    charged = chat.charged(traffic.prompt_tokens, traffic.max_tokens)
    whole = traffic.prompt_tokens + traffic.max_tokens
    _require(
        charged <= chat.tpm,
        f"One question is charged {charged:,} tokens and {provider.name} admits {chat.tpm:,.0f} a minute: it can never "
        "pass. Give fewer --prompt-tokens, a smaller --max-tokens, or another --profile.",
    )
    _require(
        whole <= chat.context_tokens,
        f"A prompt of {traffic.prompt_tokens:,} tokens and {traffic.max_tokens:,} for the answer do not fit into the "
        f"{chat.context_tokens:,} tokens of {provider.name}. Give fewer --prompt-tokens or --max-tokens.",
    )


def _peak(keys: PlanKeys) -> tuple[int, float, str]:
    """Return how many come in the peak, within how long, and what that is in words."""
    peaks = [key for key in ("users", "peak", "peak_hour") if getattr(keys, key) is not None]
    _require(
        len(peaks) <= 1,
        f"{' and '.join(map(option, peaks))} both say how large the peak is; give one of them.",
    )
    if keys.users is not None:
        _require(keys.peak_for is None, "--peak-for goes with --peak; with --users give --over.")
        over_s = 5.0 if keys.over is None else keys.over
        _require(
            keys.per_day is None or keys.per_day >= keys.users,
            f"users is {keys.users}, more than the {keys.per_day} of the whole day (--per-day). Correct one of them.",
        )
        return keys.users, over_s, f"{keys.users:,} users {f'in {span(over_s)}' if over_s else 'at once'}"
    _require(keys.over is None, "--over goes with --users: how many come in that time?")
    if keys.peak is not None:
        over_s = keys.peak_for or _PEAK_FOR_S
        users = max(round(keys.peak * over_s), 1)
        _require(
            keys.per_day is None or keys.per_day >= users,
            f"{rate(keys.peak)} for {span(over_s)} are {users:,} questions, more than the {keys.per_day} of the whole "
            "day (--per-day). Correct --peak, --peak-for or --per-day.",
        )
        return users, over_s, f"{rate(keys.peak)} for {span(over_s)}, {users:,} users"
    if keys.per_day is None:
        raise InvalidRequest(
            "Say how many ask: --users 1000 --over 5s for a rush, or --per-day 50000 --peak 40/s for a day with a "
            "peak.",
            param="users",
        )
    _require(keys.peak_for is None, "--peak-for goes with --peak: how many a second come for so long?")
    share = keys.peak_hour or PEAK_HOUR
    users = max(round(keys.per_day * share), 1)
    return users, HOUR_S, f"{share:.0%} of {keys.per_day:,} questions in the busiest hour, {rate(users / HOUR_S)}"


def _repeats(keys: PlanKeys, users: int, over_s: float) -> float:
    if (zipf := keys.zipf) is None:
        return float(keys.repeats)
    different, exponent = zipf
    _require(
        1 <= different <= 10_000_000 and 0 < exponent <= 10,
        f"repeats is {keys.repeats!r}; write zipf:500 or zipf:500:1.1, with 1 to 10,000,000 questions and an exponent "
        "of more than 0, 10 at most.",
    )
    remembered = round(users * min(REMEMBERED_S / over_s, 1.0)) if over_s else users
    return min(round(zipf_repeats(max(remembered, 1), different, exponent), 4), 0.999)


def _require(holds: bool, remedy: str) -> None:
    if not holds:
        raise InvalidRequest(remedy, param="plan")
