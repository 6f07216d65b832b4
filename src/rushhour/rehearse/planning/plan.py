"""A whole plan: the floor, the wall, the wait, what would move them, and the cost, as one JSON-ready tree."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from rushhour.rehearse.planning.cost import Cost, cost_of
from rushhour.rehearse.planning.levers import Lever, levers_of
from rushhour.rehearse.planning.provider import Provider
from rushhour.rehearse.planning.simulate import Simulated
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import Wall, Walls, walls_of
from rushhour.rehearse.planning.within import Within, within_of


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan; times in seconds. `wall` is the tightest limit, and `holds` whether anybody has to wait for it.

    `simulated` is None where nothing was rehearsed.
    """

    peak: str
    profile: str
    model: str
    traffic: dict[str, Any]
    floor_s: float
    wall: str
    holds: bool
    limits: list[Wall]
    levers: list[Lever]
    within: Within | None
    cost: Cost
    simulated: Simulated | None = None
    version: str = ""
    made_at: int = 0
    command: str = ""


def plan_of(traffic: Traffic, provider: Provider, within_s: float | None = None) -> Plan:
    """Return what arithmetic alone tells."""
    walls: Walls = walls_of(traffic, provider)
    return Plan(
        peak=traffic.told,
        profile=provider.name,
        model=provider.model,
        traffic={name: value for name, value in asdict(traffic).items() if name != "told"},
        floor_s=walls.floor_s,
        wall=walls.first.key,
        holds=walls.holds,
        limits=list(walls.every),
        levers=levers_of(traffic, provider),
        within=within_of(traffic, provider, within_s or traffic.patience_s),
        cost=cost_of(traffic, provider.prices),
    )


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
