"""What it takes to be done within a time: each limit, or each trait of the traffic, changed alone until it is so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rushhour.rehearse.planning.provider import Provider, tiers_above
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import Wall, walls_of

_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Within:
    """The time that was asked for, whether it is kept now, and the ways to keep it, each in words.

    Where the users take longer than that to come, it is the longest that one of them may wait for a limit.
    """

    seconds: float
    kept: bool
    ways: tuple[str, ...]
    waits: bool = False


def within_of(traffic: Traffic, provider: Provider, seconds: float) -> Within:
    """Solve for what lets the whole peak pass within `seconds`, or within so long after its end."""
    waits = traffic.over_s >= seconds
    until = traffic.over_s + seconds if waits else seconds
    now = walls_of(traffic, provider)
    if now.floor_s <= until:
        return Within(seconds, True, (), waits)
    needs = [_limit_needed(wall, traffic, provider, until) for wall in now.every if wall.floor_s > until]
    return Within(seconds, False, (" and ".join(needs), *_ways(traffic, provider, until)), waits)


def _limit_needed(wall: Wall, traffic: Traffic, provider: Provider, seconds: float) -> str:
    factor = traffic.asked / (seconds + wall.saved_s) / wall.allows_per_s
    match wall.key:
        case "chat requests":
            return f"{_up(provider.chat.rpm * factor)} chat requests a minute instead of {provider.chat.rpm:,.0f}"
        case "chat tokens":
            return f"{_up(provider.chat.tpm * factor)} chat tokens a minute instead of {provider.chat.tpm:,.0f}"
        case "chat slots":
            slots = provider.chat.latency.slots or 1
            return f"{math.ceil(slots * factor):,} calls at a time instead of {slots:,}"
        case "chat ramp":
            return "traffic that grows before the peak, or a provider without a limit on growth"
    return f"{factor:.2f} × the limit on {wall.key}"


def _ways(traffic: Traffic, provider: Provider, seconds: float) -> list[str]:
    def floor(**changes: float) -> float:
        return walls_of(traffic.changed(**changes), provider).floor_s

    ways = []
    enough = next((one for one in tiers_above(provider) if walls_of(traffic, one).floor_s <= seconds), None)
    if enough is not None:
        ways.append(f"the profile {enough.name}")
    share = _least(lambda part: floor(repeats=part) <= seconds, traffic.repeats, 0.999)
    if share is not None:
        ways.append(f"{share:.0%} of the questions repeated, instead of {traffic.repeats:.0%}")
    part = _least(lambda cut: floor(**_shorter(traffic, 1 - cut)) <= seconds, 0.0, 0.99)
    if part is not None:
        ways.append(_shorter_told(traffic, provider, 1 - part))
    users = int(_most(lambda users: floor(users=max(int(users), 1)) <= seconds, 1.0, float(traffic.users)))
    ways.append(f"{users:,} users instead of {traffic.users:,}")
    return ways


def _shorter(traffic: Traffic, part: float) -> dict[str, float]:
    return {
        "prompt_tokens": max(math.floor(traffic.prompt_tokens * part), 1),
        "max_tokens": max(math.floor(traffic.max_tokens * part), 1),
    }


def _shorter_told(traffic: Traffic, provider: Provider, part: float) -> str:
    shorter = _shorter(traffic, part)
    charged = provider.chat.charged(int(shorter["prompt_tokens"]), int(shorter["max_tokens"]))
    before = provider.chat.charged(traffic.prompt_tokens, traffic.max_tokens)
    return f"{charged:,} tokens charged a question instead of {before:,} (shorter prompts and a smaller max_tokens)"


def _least(enough: Callable[[float], bool], low: float, high: float) -> float | None:
    """Return the least value between two that is enough, if enough is monotonic; None when even `high` is not."""
    if not enough(high):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _most(enough: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


def _up(value: float) -> str:
    """Round up to two significant digits, as limits are written."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0)
    return f"{math.ceil(value / unit - 1e-9) * unit:,}"
