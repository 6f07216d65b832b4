"""What would move the wall: each change alone, with the floor that it leads to, the one that helps most first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rushhour.rehearse.planning.provider import Provider, tiers_above
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import Walls, walls_of

NO_WALL = "none"
"""No limit makes anybody wait."""
_MORE_REPEATS = (0.2, 0.4)
_SHORTER = (0.75, 0.5)
_ROOM = 1.25
"""A ceiling so far above the mean answer cuts few answers off."""


@dataclass(frozen=True, slots=True)
class Lever:
    """A change, the floor and the wall after it, and how; `kind` groups those that are alike."""

    kind: str
    change: str
    floor_s: float
    saves_s: float
    wall: str
    used: float | None
    how: str


def levers_of(traffic: Traffic, provider: Provider) -> list[Lever]:
    """Return the changes, sorted by the floor they lead to, then by how much of the tightest limit is left used.

    A change that is no better than none, or than a smaller one of its kind, is left out. Replicas come last: they move
    nothing, and many expect that they do.
    """
    now = walls_of(traffic, provider)
    as_it_is = _lever(
        "replicas", "more replicas of rushhour", now, now, "the limits are the provider's; replicas share them"
    )
    found = [*_tiers(traffic, provider, now), *_second_model(traffic, provider, now), *_thrift(traffic, provider, now)]
    return [*sorted(_better(found, as_it_is), key=_rank), as_it_is]


def _better(found: Sequence[Lever], as_it_is: Lever) -> Iterator[Lever]:
    best: dict[str, tuple[float, float]] = {}
    for lever in found:
        if _rank(lever) < best.get(lever.kind, _rank(as_it_is)):
            best[lever.kind] = _rank(lever)
            yield lever


def _rank(lever: Lever) -> tuple[float, float]:
    return lever.floor_s, lever.used or 0.0


def _tiers(traffic: Traffic, provider: Provider, now: Walls) -> Iterator[Lever]:
    for better in tiers_above(provider):
        then = walls_of(traffic, better)
        how = f"{better.chat.rpm:,.0f} requests and {better.chat.tpm:,.0f} tokens a minute"
        yield _lever("tier", f"profile {better.name}", then, now, how)


def _second_model(traffic: Traffic, provider: Provider, now: Walls) -> Iterator[Lever]:
    if provider.chat.latency.slots is not None:
        then = walls_of(traffic, provider.with_slots(2))
        yield _lever("server", "a second model server like this one", then, now, "twice as many calls at a time")
        return
    then = walls_of(traffic, provider.with_chat(2.0))
    how = "limits are per model: name another under [[chat.fallbacks]]; it answers while the first one's queue is long"
    yield _lever("model", "a second chat model with the same limits", then, now, how)


def _thrift(traffic: Traffic, provider: Provider, now: Walls) -> Iterator[Lever]:
    for more in _MORE_REPEATS:
        share = round(traffic.repeats + more * (1 - traffic.repeats), 3)
        then = walls_of(traffic.changed(repeats=share), provider)
        how = "equal questions are answered once: suggest questions, keep answers longer (RUSHHOUR_ANSWERS__TTL_S)"
        yield _lever("repeats", f"{share:.0%} repeated questions instead of {traffic.repeats:.0%}", then, now, how)
    for part in _SHORTER:
        shorter = max(round(traffic.prompt_tokens * part), 1)
        then = walls_of(traffic.changed(prompt_tokens=shorter), provider)
        how = "fewer or shorter passages (RUSHHOUR_RETRIEVAL__TOP_K, RUSHHOUR_CHUNKS__TOKENS)"
        yield _lever("prompt", f"prompts of {shorter:,} tokens instead of {traffic.prompt_tokens:,}", then, now, how)
    ceiling = max(round(traffic.answer_tokens * _ROOM), 1)
    if ceiling < traffic.max_tokens:
        then = walls_of(traffic.changed(max_tokens=ceiling), provider)
        together = "and max_tokens together" if provider.chat.charge == "sum" else "or max_tokens, whichever is more"
        how = f"the provider charges the prompt {together} (RUSHHOUR_CHAT__MAX_TOKENS)"
        yield _lever("max_tokens", f"max_tokens {ceiling:,} instead of {traffic.max_tokens:,}", then, now, how)


def _lever(kind: str, change: str, then: Walls, now: Walls, how: str) -> Lever:
    wall = then.first.key if then.holds else NO_WALL
    return Lever(kind, change, then.floor_s, now.floor_s - then.floor_s, wall, then.first.used, how)
