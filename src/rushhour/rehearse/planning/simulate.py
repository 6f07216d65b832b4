"""The peak, rehearsed on virtual time: rushhour's own engine against a simulation of the planned provider.

The rehearsal asks about Python's manual, whose prompts and answers have lengths of their own. So limits and speeds are
turned until they stand to those lengths as the plan's do to its own. A crowd that is too large is played to a smaller
scale: where the limits suffice, its first part; where they do not, a part of the users against the same part of the
limits, since it is the ratio of both that makes people wait.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rushhour.flow.ledger.contract import MOST
from rushhour.hops.extractive import EXTRACTIVE
from rushhour.rehearse.counting import percentile
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import Limits
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.planning.provider import Provider
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import Walls
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.virtual.play import VirtualPlay
from rushhour.rehearse.watching import Watcher
from rushhour.simulator.latency import LatencySpec

PROMPT, QUESTION, ANSWER, CEILING = 1_006, 31, 36, 512
"""Tokens of a rehearsed prompt, question and answer, and the ceiling on its answers: what the manual gives."""
MOST_SIMULATED = 20_000
_SPARE = 0.9
"""Below this use of its tightest limit, a crowd waits for nothing that a longer day would change."""


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a simulated peak; times in seconds, of those answered, from when they came.

    `scale` is the part of the users, and of the limits, that was played; `over_s` the time in which they came.
    `refused` were told honestly at first when to come back, `served_later` of them were answered when they did. Of
    those answered, `quoted` got quotations in place of the chat model, which was not to be reached in time.
    `curve` is the time within which each per cent of all users had an answer.
    """

    users: int
    over_s: float
    scale: float
    answered: int
    refused: int
    came_back: int
    served_later: int
    unanswered: int
    reduced: int
    quoted: int
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    makespan_s: float
    curve: list[float | None]
    wall_s: float


@dataclass(slots=True)
class Seen:
    """Passes on what it is told, and keeps every visit."""

    watcher: Watcher
    visits: list[Visited] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Begin a step of the preparation."""
        self.watcher.step(text)

    def opens(self, pipeline: str, users: int) -> None:
        """Begin the peak."""
        self.visits.clear()
        self.watcher.opens(pipeline, users)

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Keep a user who is done."""
        self.visits.append(visit)
        self.watcher.visited(pipeline, visit)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of a peak is played: so many users, within so long, against so much of the limits."""

    users: int
    over_s: float
    scale: float


def size_of(traffic: Traffic, walls: Walls, most: int) -> Size:
    """Choose a size of at most `most` users; those who repeat a question reach no provider and are left out."""
    asked = max(round(traffic.asked), 1)
    if asked <= most:
        return Size(asked, traffic.over_s, 1.0)
    if traffic.over_s and (walls.first.used or 0.0) < _SPARE:
        return Size(most, traffic.over_s * most / asked, 1.0)
    return Size(most, traffic.over_s, most / asked)


async def simulate(traffic: Traffic, provider: Provider, size: Size, watcher: Watcher, seed: int = 1) -> Simulated:
    """Play the peak on a `RehearsalLoop`."""
    overrides = overrides_for(traffic, provider, size)
    chat = _limits(traffic, provider, size)
    scenario = Scenario(
        name="plan",
        users=size.users,
        over_s=size.over_s,
        arrivals="poisson" if size.over_s else "burst",
        seed=seed,
        profile=_profile(provider),
        overrides=overrides,
        limits=Limits(chat["rpm"], chat["tpm"], provider.chat.burst_s),
        patience_s=traffic.patience_s,
        friday_users=3,
        friday_at_once=3,
    )
    seen = Seen(watcher)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="rushhour-plan-") as folder:
        await VirtualPlay(scenario, Path(folder), seen, "").play()
    return _summed(seen.visits, size, time.perf_counter() - began)


def overrides_for(traffic: Traffic, provider: Provider, size: Size) -> tuple[str, ...]:
    """Return the changes to the profile that make the rehearsed lengths, and the size, stand for the planned ones."""
    chat, profile = provider.chat, provider.profile
    limits = _limits(traffic, provider, size)
    slow, fast = (max(round(pace * ANSWER / traffic.answer_tokens), 1) for pace in chat.tokens_per_s)
    told: dict[str, object] = {
        "chat.models": {},
        "chat.charge": "max",
        "chat.rpm": limits["rpm"],
        "chat.tpm": limits["tpm"],
        "chat.burst_s": chat.burst_s,
        "chat.context_tokens": 1_000_000,
        "chat.tokens_per_s": [slow, fast],
        "chat.latency": _latency(chat.latency, size),
        "embeddings.models": {},
        "embeddings.rpm": _part(profile.embeddings.rpm, size),
        "embeddings.tpm": _part(_turned(profile.embeddings.tpm, QUESTION / traffic.question_tokens), size),
        "vectors.query_per_s": _part(profile.vectors.query_per_s, size),
        "vectors.latency": _latency(profile.vectors.latency, size),
    }
    if chat.ramp is not None and chat.ramp.above_tpm is not None:
        told["chat.ramp.above_tpm"] = _part(chat.ramp.above_tpm * PROMPT / traffic.prompt_tokens, size)
    return tuple(f"{key}={_toml(value)}" for key, value in told.items())


def _latency(spec: LatencySpec, size: Size) -> dict[str, object]:
    """Return a latency whose queue holds the part of the calls that is played."""
    shared = {
        name: None if value is None else _part(value, size)
        for name, value in (("capacity", spec.capacity), ("slots", spec.slots), ("max_waiting", spec.max_waiting))
    }
    told: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(spec, **shared))
    return {name: value for name, value in told.items() if value is not None}


def _toml(value: object) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def _limits(traffic: Traffic, provider: Provider, size: Size) -> dict[str, int]:
    charged = provider.chat.charged(traffic.prompt_tokens, traffic.max_tokens)
    tokens = _turned(provider.chat.tpm, max(PROMPT, CEILING) / charged)
    return {"rpm": _part(provider.chat.rpm, size), "tpm": max(_part(tokens, size), PROMPT)}


def _turned(tpm: float, factor: float) -> float:
    return tpm if tpm >= MOST else tpm * factor


def _part(value: float, size: Size) -> int:
    """Return the part of a limit that is played; a part of no limit is none either."""
    return int(MOST) if value >= MOST else max(round(value * size.scale), 1)


def _profile(provider: Provider) -> str:
    return str(Path(provider.name).resolve()) if provider.name.endswith(".toml") else provider.name


def _summed(visits: Sequence[Visited], size: Size, wall_s: float) -> Simulated:
    right = sorted(visit.done_s for visit in visits if visit.outcome is Outcome.ANSWERED)
    refused = [visit for visit in visits if visit.refused_s is not None]
    back = [visit for visit in refused if visit.returned]
    within = [math.ceil(size.users * percent / 100) for percent in range(101)]
    return Simulated(
        users=size.users,
        over_s=round(size.over_s, 3),
        scale=round(size.scale, 6),
        answered=len(right),
        refused=len(refused),
        came_back=len(back),
        served_later=sum(visit.outcome is Outcome.ANSWERED for visit in back),
        unanswered=size.users - len(right),
        reduced=sum("reduced" in visit.degraded for visit in visits),
        quoted=sum(EXTRACTIVE in visit.degraded for visit in visits),
        p50_s=percentile(right, 50),
        p90_s=percentile(right, 90),
        p95_s=percentile(right, 95),
        p99_s=percentile(right, 99),
        max_s=right[-1] if right else None,
        makespan_s=round(max((visit.at + visit.done_s for visit in visits), default=0.0), 3),
        curve=[0.0 if not count else right[count - 1] if count <= len(right) else None for count in within],
        wall_s=round(wall_s, 2),
    )
