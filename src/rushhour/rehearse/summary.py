"""Everything that a rehearsal found out, put together: the figures, what they rest on, and how to repeat them."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import psutil

from rushhour.clock import unix_now
from rushhour.rehearse.corpus import Document
from rushhour.rehearse.counting import served_within
from rushhour.rehearse.floor import CallTokens, Floor, Limit, ceiling_of, least_waits
from rushhour.rehearse.pipelines import Pipeline
from rushhour.rehearse.plan import expected_arrivals, floor_for
from rushhour.rehearse.results import FloorNote, Friday, Ingestion, Rehearsal, Run, WindowNote
from rushhour.rehearse.scenario import USUAL, Scenario, settings_of
from rushhour.rehearse.words import limit as limit_shown

_TURNS = ("slots", "max_waiting")
"""What a server of one's own says of those whose turn it is, and of the others."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known by now of a rehearsal that is `finished` or not."""

    scenario: Scenario
    command: str = ""
    ingestion: list[Ingestion] = field(default_factory=list)
    friday: list[Friday] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    chat_call: CallTokens | None = None
    asked: int = 0
    corpus: Sequence[Document] = ()
    pipelines: Sequence[Pipeline] = ()
    profile: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    wall_s: float = 0.0
    finished: bool = False


def summarise(known: Known) -> Rehearsal:
    """Return the report; partial unless the rehearsal is finished."""
    scenario = known.scenario
    floor = floor_for(scenario, known.chat_call or USUAL)
    last = max([floor.seconds, *(run.makespan_s for run in known.runs)])
    return Rehearsal(
        scenario=scenario.name,
        description=scenario.description,
        users=scenario.users,
        floor_s=round(floor.seconds, 3),
        limit_per_s=round(floor.limit.calls_per_s, 3) if floor.limited else None,
        burst_credit_s=round(min(floor.limit.saved_s, scenario.users / floor.limit.calls_per_s), 3),
        floor=_floor(scenario, floor, last),
        windows=[
            WindowNote(
                label=window.label,
                surfaces=list(window.surfaces),
                kind=window.kind,
                from_s=window.from_s,
                until_s=None if math.isinf(window.to_s) else window.to_s,
            )
            for window in scenario.windows
        ],
        faults={surface: dict(shares) for surface, shares in scenario.faults.items()},
        pipelines={pipeline.name: dict(pipeline.disclosed or {}) for pipeline in known.pipelines},
        runs=known.runs,
        ingestion=known.ingestion,
        friday=known.friday,
        questions=known.asked,
        settings=settings_of(scenario),
        provider=_shown(known.profile),
        corpus={
            "corpus": "Python’s language reference (pydoc_data.topics)",
            "topics": len(known.corpus),
            "characters": sum(len(document.text) for document in known.corpus),
            "different_questions": known.asked,
        },
        machine={
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": psutil.cpu_count() or 0,
        },
        wall_s=round(known.wall_s, 1),
        partial=not known.finished,
        version=version("rushhour"),
        made_at=unix_now(),
        command=known.command,
    )


def _floor(scenario: Scenario, floor: Floor, last: float) -> FloorNote:
    """Return what the floor is due to, with its lines for a page that ends a little after `last`."""
    limit, slots = floor.limit, scenario.limits.slots if floor.limit.name == "slots" else None
    return FloorNote(
        bound=floor.bound,
        tokens_per_call=round(floor.tokens.prompt, 1),
        tokens_per_answer=round(floor.tokens.answer, 1),
        slots=slots.count if slots else None,
        work_s=round(slots.work_s(floor.tokens.answer), 3) if slots else None,
        closed_s=round(sum(min(to, last) - begin for begin, to in scenario.closed if begin < last), 3),
        ceiling=ceiling_of(scenario.users, limit.calls_per_s, limit.saved_s, last * 1.25 + 1, scenario.closed),
        waits_s=_least(scenario, limit),
    )


def _least(scenario: Scenario, limit: Limit) -> list[float | None]:
    """Return how long users wait at the least for the provider, by the hundredth of them."""
    waits = least_waits(expected_arrivals(scenario), limit.calls_per_s, limit.saved_s, scenario.closed)
    return [None if wait is None else round(wait, 3) for wait in served_within(waits, scenario.users)]


def _shown(profile: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Pick the limits, speeds and faults that a reader wants to see."""
    shown: dict[str, object] = {}
    for surface in ("chat", "embeddings", "vectors"):
        part = profile.get(surface, {})
        for name in ("rpm", "tpm", "burst_s", "query_per_s", "upsert_per_s", "price_in", "price_out"):
            if part.get(name) is not None:
                shown[f"{surface} {name}"] = limit_shown(part[name])
        latency = part.get("latency")
        if isinstance(latency, Mapping):
            shown[f"{surface} median latency (s)"] = latency["median_s"]
            shown |= {f"{surface} {name}": latency[name] for name in _TURNS if latency.get(name) is not None}
        faults = part.get("faults")
        if isinstance(faults, Mapping) and faults:
            shown[f"{surface} faults"] = ", ".join(f"{name} {share:.1%}" for name, share in faults.items())
    return shown
