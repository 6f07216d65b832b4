"""Who comes when, and asks what: the crowd's plan, which is the same for every pipeline."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rehearse.questions import Question
from rushhour.rehearse.scenario import Scenario


class Visit(msgspec.Struct, frozen=True):
    """One user: `at` is the scheduled arrival in seconds from the start."""

    user: int
    at: float
    question: str
    gold: str


def plan_visits(scenario: Scenario, questions: Sequence[Question]) -> list[Visit]:
    """Return every visit in order of arrival; the same scenario and questions give the same visits.

    Poisson arrivals, given how many come in an interval, are as many uniform draws in it. Each question is
    asked before any is asked again.
    """
    if not questions:
        raise InvalidRequest("There is no question to ask: the corpus holds no sentence that can be told apart.")
    drawn = random.Random(scenario.seed)
    if scenario.arrivals == "poisson":
        times = sorted(drawn.uniform(0, scenario.over_s) for _ in range(scenario.users))
    else:
        times = [scenario.over_s * user / scenario.users for user in range(scenario.users)]
    order = [questions[user % len(questions)] for user in range(scenario.users)]
    drawn.shuffle(order)
    return [
        Visit(user, round(at, 6), question.text, question.gold)
        for user, (at, question) in enumerate(zip(times, order, strict=True))
    ]


def write_visits(path: Path, visits: Sequence[Visit]) -> None:
    """Write a plan for the crowd's process."""
    path.write_bytes(msgspec.json.encode(visits))


def read_visits(path: Path) -> list[Visit]:
    """Read a plan back; raises OSError and msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=list[Visit])
