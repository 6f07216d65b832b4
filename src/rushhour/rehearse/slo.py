"""Objectives of a run, as `answered>=99.9%,p95<=20s,wrong<=0,errors<=0,makespan<=1.1x`, and whether they hold."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rehearse.results import Objective, Rehearsal, Run, Slo

_Kind = Literal["users", "time", "money"]
_FORM = re.compile(r"(?P<name>[a-z0-9_]+)\s*(?P<sign><=|>=|==|=|<|>)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z%$]*)")
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": lambda measured, bound: measured <= bound + _ROUNDING,
    ">=": lambda measured, bound: measured >= bound - _ROUNDING,
    "<": operator.lt,
    ">": operator.gt,
    "=": lambda measured, bound: abs(measured - bound) <= _ROUNDING,
}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0}
_UNITS: Mapping[_Kind, Sequence[str]] = {"users": ("", "%"), "time": (*_SECONDS, "x"), "money": ("", "$", "usd")}
_SAID: Mapping[_Kind, str] = {
    "users": "a number of users (0) or a part of them (99.9%)",
    "time": "a time (20s, 500ms) or a multiple of the floor (1.1x)",
    "money": "dollars (0.25)",
}
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that can be demanded of a run."""

    kind: _Kind
    meaning: str
    of: Callable[[Run], float | None]


MEASURES: Mapping[str, Measure] = {
    "answered": Measure("users", "answered rightly", lambda run: run.answered),
    "wrong": Measure("users", "given a wrong answer", lambda run: run.wrong),
    "refused": Measure("users", "refused honestly, and not served later", lambda run: run.refused),
    "refused_first": Measure("users", "refused honestly at their first visit", lambda run: run.refused_first),
    "errors": Measure("users", "who saw an error", lambda run: sum(run.errors.values())),
    "degraded": Measure("users", "answered with less than asked", lambda run: sum(run.degraded.values())),
    "p50": Measure("time", "the median wait", lambda run: run.p50_s),
    "p95": Measure("time", "the wait of 95 % of those answered", lambda run: run.p95_s),
    "p99": Measure("time", "the wait of 99 % of those answered", lambda run: run.p99_s),
    "first_word": Measure("time", "the median wait for the first word", lambda run: run.first_word_p50_s),
    "done_99": Measure("time", "until 99 % of all users are done", lambda run: run.done_99_s),
    "makespan": Measure("time", "until the last user is done", lambda run: run.makespan_s),
    "cost": Measure(
        "money",
        "of 1,000 right answers",
        lambda run: None if run.cost_per_answer_usd is None else 1000 * run.cost_per_answer_usd,
    ),
}


@dataclass(frozen=True, slots=True)
class Demand:
    """One objective: a measure, how it compares, a bound, and the bound's unit."""

    text: str
    name: str
    sign: str
    bound: float
    unit: str

    def judge(self, run: Run, users: int, floor_s: float) -> Objective:
        """Compare; what was never measured does not hold."""
        measured = MEASURES[self.name].of(run)
        bound = self.bound
        if measured is None:
            return Objective(objective=self.text, measured=None, shown="not measured", held=False)
        if self.unit == "%":
            measured = 100 * measured / users
        elif self.unit == "x":
            measured = measured / floor_s if floor_s else float("inf")
        elif self.unit in _SECONDS:
            bound *= _SECONDS[self.unit]
        held = _SIGNS[self.sign](measured, bound)
        return Objective(objective=self.text, measured=round(measured, 4), shown=self._shown(measured), held=held)

    def _shown(self, measured: float) -> str:
        kind = MEASURES[self.name].kind
        if self.unit == "%":
            return f"{measured:.4g} %"
        if self.unit == "x":
            return f"{measured:.2f} × the floor"
        if kind == "money":
            return f"${measured:.4f}"
        return f"{measured:.2f} s" if kind == "time" else f"{measured:,.0f}"


def parse_slo(text: str) -> tuple[Demand, ...]:
    """Read objectives, separated by commas; raises InvalidRequest, which names every one that cannot be read."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong: list[str] = []
    found: list[Demand] = []
    for part in parts:
        try:
            found.append(_demand(part))
        except ValueError as cause:
            wrong.append(str(cause))
    if not parts:
        wrong.append("it is empty")
    if wrong:
        known = "; ".join(f"{name}: {measure.meaning}" for name, measure in MEASURES.items())
        raise InvalidRequest(
            "\n".join(["--slo cannot be read:", *(f"  - {line}" for line in wrong)])
            + '\nWrite it like "answered>=99.9%,p95<=20s,wrong<=0,makespan<=1.1x". '
            + f"What can be measured: {known}.",
            param="--slo",
        )
    return tuple(found)


def judge_slo(demands: Sequence[Demand], rehearsal: Rehearsal, pipeline: str) -> Slo:
    """Judge one pipeline's run; a run that was interrupted, or never began, holds nothing."""
    run = next((run for run in rehearsal.runs if run.pipeline == pipeline), None)
    if run is None:
        missed = [
            Objective(objective=demand.text, measured=None, shown="not measured", held=False) for demand in demands
        ]
        return Slo(pipeline=pipeline, held=False, objectives=missed)
    objectives = [demand.judge(run, rehearsal.users, rehearsal.floor_s) for demand in demands]
    held = not run.partial and all(objective.held for objective in objectives)
    return Slo(pipeline=pipeline, held=held, objectives=objectives)


def judged(rehearsal: Rehearsal, demands: Sequence[Demand]) -> Rehearsal:
    """Return the report with a verdict: on somebody's own app if one played, else on production, else on the last."""
    if not demands:
        return rehearsal
    played = [run.pipeline for run in rehearsal.runs]
    chosen = next((name for name in ("target", "production") if name in played), played[-1] if played else "")
    return msgspec.structs.replace(rehearsal, slo=judge_slo(demands, rehearsal, chosen))


def _demand(text: str) -> Demand:
    match = _FORM.fullmatch(text.lower())
    if match is None:
        raise ValueError(f"{text!r}: not of the form measure, sign (<=, >=, <, >, =), number")
    name, unit = match["name"], match["unit"]
    measure = MEASURES.get(name)
    if measure is None:
        close = difflib.get_close_matches(name, MEASURES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(MEASURES)}"
        raise ValueError(f"{text!r}: there is no measure {name!r}; {hint}")
    if unit not in _UNITS[measure.kind]:
        raise ValueError(f"{text!r}: {name} is compared with {_SAID[measure.kind]}, not with {match['number']}{unit}")
    sign = "=" if match["sign"] == "==" else match["sign"]
    return Demand(text, name, sign, float(match["number"]), unit)
