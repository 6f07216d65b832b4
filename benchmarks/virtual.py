"""Rehearsals on virtual time: how long they take, and whether they tell what a rehearsal over sockets tells.

Three crowds. One of a thousand users, over the wire and reaching the chat model directly, twice each: the same seed
gives the same figures; in the scenario `ramp`, where nobody waits long, the two ways are compared once more. The same
thousand over real sockets (`--real`, a minute), which must agree. And a large crowd (`--large`) on many replicas that
share one ledger. Seconds are those of the clock from an empty folder to the figures:
ingestion, the choice of questions, Friday and Monday; only the interpreter's start and its imports are left out.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.report import Column, Report, arguments
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import Limits
from rushhour.rehearse.results import Rehearsal
from rushhour.rehearse.scenario import Scenario, change
from rushhour.rehearse.scenario_file import find_scenario
from rushhour.rehearse.virtual.loop import run_rehearsal
from rushhour.rehearse.virtual.play import MOST_OVER_THE_WIRE, VirtualPlay

TOLERANCE = 0.05
"""Of p50, p95 and the time when 99 % are done, against real sockets; the real run itself varies by half of it."""
SMALL_S = 3.0
LARGE_S_A_USER = 0.001
LARGE_MB = 4_000.0
USED = 0.95

_SHOWN = (
    ("answered rightly", "answered"),
    ("wait, median (s)", "p50_s"),
    ("wait, 95th percentile (s)", "p95_s"),
    ("first word, median (s)", "first_word_p50_s"),
    ("99 % of users done after (s)", "done_99_s"),
    ("last user done after (s)", "makespan_s"),
    ("provider calls refused with 429", "throttled"),
    ("tokens", "tokens"),
)
_COMPARED = ("p50_s", "p95_s", "done_99_s")


class _Nobody:
    """Watches nothing."""

    def step(self, text: str) -> None:
        """Begin a step."""

    def opens(self, pipeline: str, users: int) -> None:
        """Begin a Monday."""

    def visited(self, pipeline: str, visit: Visited) -> None:
        """Count a user."""


def play(scenario: Scenario, replicas: int = 1, *, direct: bool | None = None) -> tuple[Rehearsal, float]:
    """Rehearse on virtual time; return the report and the seconds that it took."""

    async def rehearse(folder: Path) -> Rehearsal:
        virtual = VirtualPlay(scenario, folder, _Nobody(), "", replicas, direct=direct)
        await virtual.play()
        return virtual.report()

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        told = run_rehearsal(rehearse(Path(folder)))
    return told, time.perf_counter() - begun


def play_for_real(users: int) -> Rehearsal:
    """Rehearse the same scenario over sockets, in processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        figures, page = Path(folder) / "figures.json", Path(folder) / "page.html"
        options = ["--pipelines", "production", "--users", str(users), "--json", str(figures), "--report", str(page)]
        subprocess.run([sys.executable, "-m", "rushhour.cli", "rehearse", *options], check=True, stdout=subprocess.PIPE)  # noqa: S603  # our own command
        return msgspec.json.decode(figures.read_bytes(), type=Rehearsal)


def large(users: int) -> Scenario:
    """Return a scenario at the edge of a large limit: 30,000 chat calls a minute, asked for 1 % more often."""
    limits = Limits(30_000, 300_000_000, 1.0)
    overrides = (
        "chat.rpm=30000", "chat.tpm=300000000", "chat.latency.median_s=0.55", "chat.latency.capacity=20000",
        "vectors.query_per_s=2000",
    )  # fmt: skip
    monday = change(find_scenario("monday"), users=users, over_s=users / 505)
    return replace(monday, name="large", limits=limits, overrides=overrides)


def figures(told: Rehearsal) -> dict[str, Any]:
    """Return everything that a seed decides."""
    tree: dict[str, Any] = json.loads(msgspec.json.encode(told))
    return {name: value for name, value in tree.items() if name not in ("wall_s", "made_at")}


def small(report: Report, users: int, *, real: bool) -> None:
    """Play a small crowd in every way, and compare."""
    scenario = change(find_scenario("monday"), users=users)
    wire, seconds = play(scenario, direct=False)
    direct, direct_seconds = play(scenario, direct=True)
    ways = {"over the wire": wire, "directly": direct} | ({"over sockets": play_for_real(users)} if real else {})
    rows: list[tuple[str | float | None, ...]] = [
        (title, *(getattr(told.runs[0], name) for told in ways.values())) for title, name in _SHOWN
    ]
    rows.append(("seconds of the clock", seconds, direct_seconds, *([ways["over sockets"].wall_s] if real else [])))
    columns = (Column("Figure", "figure"), *(Column(way, way.replace(" ", "_"), ",.6g") for way in ways))
    report.table(f"{users:,} users, the scenario monday", columns, rows)
    again = play(scenario, direct=False)[0], play(scenario, direct=True)[0]
    differ = sum(figures(one) != figures(other) for one, other in zip((wire, direct), again, strict=True))
    report.at_most("runs whose second time told something else", differ, 0)
    report.at_most("largest difference of the two ways on virtual time", difference(wire, direct), TOLERANCE, ".1%")
    ramp = change(find_scenario("ramp"), users=users)
    quiet = difference(play(ramp, direct=False)[0], play(ramp, direct=True)[0])
    report.at_most(
        "the same in the scenario ramp, where a call's own time is most of the wait", quiet, TOLERANCE, ".1%"
    )
    if real:
        report.at_most(
            "largest difference to real sockets", difference(wire, ways["over sockets"]), TOLERANCE, ".1%", clock=True
        )
    if users == 1_000:
        usual = direct_seconds if users > MOST_OVER_THE_WIRE else seconds
        report.at_most("seconds of the clock for 1,000 users", usual, SMALL_S, ".1f", clock=True)


def difference(one: Rehearsal, other: Rehearsal) -> float:
    """Return by what part the waits of two rehearsals differ, at most."""
    first, second = one.runs[0], other.runs[0]
    return max(abs(float(getattr(first, name)) / float(getattr(second, name)) - 1) for name in _COMPARED)


def crowd(report: Report, users: int, replicas: int) -> None:
    """Play a large crowd on replicas that share one ledger."""
    told, seconds = play(large(users), replicas)
    run = told.runs[0]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        *((title, getattr(run, name)) for title, name in _SHOWN),
        ("honestly refused", run.refused),
        ("errors", sum(run.errors.values())),
        ("wrong answers", run.wrong),
        ("the limit used, while there was demand", told.limit_used),
        ("seconds of the clock", seconds),
        ("peak memory, MB", memory),
    ]
    columns = (Column("Figure", "figure"), Column("Value", "value", ",.6g"))
    report.table(f"{users:,} users on {replicas} replicas with one ledger", columns, rows)
    report.at_most("wrong answers and errors", run.wrong + sum(run.errors.values()), 0)
    if told.limit_used is not None:
        report.at_least("the limit used, while there was demand", told.limit_used, USED, ".0%")
    report.at_most("seconds of the clock a user", seconds / users, LARGE_S_A_USER, clock=True)
    report.at_most("peak memory, MB", memory, LARGE_MB, ",.0f", clock=True)


def main() -> None:
    """Play, measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--users", type=int, default=1_000, help="of the small crowd")
    parser.add_argument("--large", type=int, default=100_000, help="users of the large crowd; 0 leaves it out")
    parser.add_argument("--replicas", type=int, default=16, help="of the large crowd")
    parser.add_argument("--real", action="store_true", help="play the small crowd over sockets, too")
    given = parser.parse_args()
    report = Report("virtual")
    small(report, given.users, real=given.real)
    if given.large:
        crowd(report, given.large, given.replicas)
    report.finish(given.json)


if __name__ == "__main__":
    main()
