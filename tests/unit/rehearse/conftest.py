"""A finished rehearsal with fixed figures: naive mostly fails, production answers everybody near the floor."""

from __future__ import annotations

import random

import msgspec
import pytest

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import ceiling_of
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.measure import run_of
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.provider import Account
from rushhour.rehearse.results import FloorNote, Friday, Ingestion, Rehearsal, Run
from rushhour.rehearse.scenario import Scenario, settings_of

_FAILURES = ("upstream_429", "upstream_429", "upstream_429", "ClientResponseError", "connection_reset", "gave_up")


def _surface(calls: int, throttled: int, tokens: int, cost: float) -> dict[str, object]:
    return {
        "calls": calls,
        "throttled": {"requests": throttled},
        "tokens_in": tokens,
        "tokens_out": tokens // 50,
        "cost_usd": cost,
    }


def _naive_run(scenario: Scenario, drawn: random.Random) -> Run:
    visits = []
    for user in range(scenario.users):
        at = scenario.over_s * user / scenario.users
        if drawn.random() < 0.27:
            took = drawn.uniform(2, 9) + at
            visits.append(Visited(user, at, 0.002, took, Outcome.ANSWERED, "", took - 1, 200))
        else:
            kind = drawn.choice(_FAILURES)
            took = scenario.patience_s if kind == "gave_up" and user % 9 == 0 else drawn.uniform(1, 12)
            visits.append(Visited(user, at, 0.002, took, Outcome.FAILED, kind, None, 500))
    state = {
        "clients": {
            "naive": {
                "connections": {"opened": 2712},
                "surfaces": {
                    "embeddings": _surface(1000, 0, 22_000, 0.0005),
                    "vectors": _surface(997, 312, 0, 0.0),
                    "chat": _surface(668, 391, 300_000, 0.033),
                },
            }
        },
        "series": {
            "chat": {
                "naive": {
                    "accepted": [3, 30, 49, 50, 50, 50, 40, 5],
                    "throttled": [0, 0, 61, 90, 95, 85, 40, 20],
                    "failed": [0, 0, 1, 0, 0, 0, 0, 0],
                }
            }
        },
    }
    return run_of("naive", scenario.users, visits, Account(state, "naive"), Measured(47.3, 412.0), Measured(2.2, 60.0))


def _production_run(scenario: Scenario, drawn: random.Random) -> Run:
    visits = []
    for user in range(scenario.users):
        at = scenario.over_s * user / scenario.users
        done = max(at + 1.6, user / 49.6 + 1.1) + drawn.uniform(0, 0.6)
        visits.append(Visited(user, at, 0.001, done - at, Outcome.ANSWERED, "", done - at - 0.6, 200))
    state = {
        "clients": {
            "production": {
                "connections": {"opened": 161},
                "surfaces": {
                    "embeddings": _surface(26, 0, 22_000, 0.0005),
                    "vectors": _surface(1003, 0, 0, 0.0),
                    "chat": _surface(1009, 2, 1_010_000, 0.111),
                },
            }
        },
        "series": {
            "chat": {
                "production": {
                    "accepted": [61, *[50] * 18, 47, 0],
                    "throttled": [0, 1, 1, *[0] * 18],
                    "failed": [0] * 21,
                }
            }
        },
    }
    return run_of(
        "production", scenario.users, visits, Account(state, "production"), Measured(3.8, 171.0), Measured(2.1, 60.0)
    )


@pytest.fixture
def finished() -> Rehearsal:
    """Return the report of a rehearsal that came to its end."""
    scenario, drawn = Scenario("monday"), random.Random(7)
    return Rehearsal(
        scenario="monday",
        users=scenario.users,
        floor_s=20.0,
        limit_per_s=50.0,
        burst_credit_s=1.0,
        floor=FloorNote(bound="requests", tokens_per_call=1_050.0, ceiling=ceiling_of(1_000, 50.0, 1.0, 30.0)),
        runs=[_naive_run(scenario, drawn), _production_run(scenario, drawn)],
        ingestion=[
            Ingestion(
                pipeline="naive", seconds=16.2, chunks=583, lost=2, embedding_calls=585, vector_calls=583,
                throttled=0, tokens=140_000, cost_usd=0.0028, cpu_s=5.1, at_once=16,
            ),
            Ingestion(
                pipeline="production", seconds=4.4, chunks=560, lost=0, embedding_calls=4, vector_calls=2,
                throttled=0, tokens=125_000, cost_usd=0.0025, cpu_s=2.9,
            ),
        ],
        friday=[Friday("naive", 30, 30, 1.62), Friday("production", 30, 30, 1.58)],
        questions=250,
        settings=settings_of(scenario),
        provider={"chat rpm": 3000, "chat burst s": 1, "chat faults": "reset 0.5%, bad_gateway 0.5%"},
        machine={"python": "3.11.7", "system": "Linux x86_64", "cores": 2},
        corpus={"corpus": "Python’s language reference", "topics": 79, "characters": 464_970},
        wall_s=88.0,
        version="0.1.0",
        made_at=1_795_000_000,
        command="rushhour rehearse --users 1000 --over 5s --seed 1",
    )  # fmt: skip


@pytest.fixture
def turned(finished: Rehearsal) -> Rehearsal:
    """Return the same against a server of one's own: four calls of 10 s at a time, for 100 of its users."""
    floor = FloorNote(
        bound="slots", tokens_per_call=1_050.0, tokens_per_answer=40.0, slots=4, work_s=10.0,
        ceiling=ceiling_of(100, 0.4, 10.0, 300.0),
    )  # fmt: skip
    run = msgspec.structs.replace(finished.runs[1], answered=100, makespan_s=252.0)
    settings = {**finished.settings, "profile": "vllm"}
    return msgspec.structs.replace(
        finished, users=100, floor_s=241.0, limit_per_s=0.4, burst_credit_s=10.0, floor=floor, runs=[run],
        settings=settings,
    )  # fmt: skip


@pytest.fixture
def unlimited(finished: Rehearsal) -> Rehearsal:
    """Return the same against a provider that nothing limits."""
    floor = FloorNote(bound="arrivals", tokens_per_call=1_050.0, ceiling=[(0.0, 1_000.0)])
    return msgspec.structs.replace(
        finished, floor_s=5.0, limit_per_s=None, burst_credit_s=0.0, floor=floor, runs=finished.runs[1:]
    )
