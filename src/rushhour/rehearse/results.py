"""What a rehearsal found out, as one JSON-ready tree of figures.

Units are in the names: `_s` seconds, `_mb` 10⁶ bytes, `_usd` dollars. A figure that nothing was measured for is
None, never 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.judge import Outcome

STEP_S = 0.25
"""Width of the bins of every series of users, in seconds."""


class ProviderCalls(msgspec.Struct, frozen=True):
    """Requests that reached each provider, refused ones included."""

    embeddings: int = 0
    vectors: int = 0
    chat: int = 0


class Series(msgspec.Struct, frozen=True):
    """What happened when: counts in bins of `step_s` seconds from the first scheduled arrival.

    `arrived`, `answered` and `unserved` count users; `admitted` and `throttled` count chat calls at the provider,
    a second each.
    """

    step_s: float
    arrived: list[int]
    answered: list[int]
    unserved: list[int]
    admitted: list[int] = []
    throttled: list[int] = []


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline's Monday.

    The percentiles are of the users who were answered rightly, from their scheduled arrival; `served_within_s[p]`
    is the time within which p % of *all* users had a right answer (None: never). `makespan_s` ends when the last
    user is done, served or not, `done_99_s` when 99 % are: one slow call of the provider moves only the first.
    `cost_usd` is what the provider charges, for answers that helped nobody too.
    """

    pipeline: str
    answered: int
    wrong: int
    refused: int
    errors: dict[str, int]
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    makespan_s: float
    provider_calls: ProviderCalls
    throttled: int
    connections: int
    tokens: int
    cost_usd: float
    cpu_s: float
    peak_rss_mb: float
    done_99_s: float | None = None
    first_word_p50_s: float | None = None
    first_word_p95_s: float | None = None
    served_within_s: list[float | None] = []
    cost_per_answer_usd: float | None = None
    embeddings_per_answer: float | None = None
    series: Series
    crowd_late_p99_s: float = 0.0
    crowd_cpu_s: float = 0.0
    partial: bool = False


class Ingestion(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline filled its namespace."""

    pipeline: str
    seconds: float
    chunks: int
    lost: int = 0
    embedding_calls: int
    vector_calls: int
    throttled: int
    tokens: int
    cost_usd: float
    cpu_s: float
    at_once: int | None = None


class Friday(msgspec.Struct, frozen=True):
    """A quiet day: a few users at a time; `median_s` is of the right answers."""

    pipeline: str
    users: int
    answered: int
    median_s: float | None


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report; `partial` when it was interrupted, and then what is missing was not measured."""

    scenario: str
    users: int
    floor_s: float
    runs: list[Run]
    ingestion: list[Ingestion] = []
    friday: list[Friday] = []
    settings: dict[str, object] = {}
    provider: dict[str, object] = {}
    machine: dict[str, object] = {}
    corpus: dict[str, object] = {}
    questions: int = 0
    limit_per_s: float
    burst_credit_s: float = 0.0
    wall_s: float = 0.0
    partial: bool = False
    version: str = ""
    made_at: int = 0
    command: str = ""


def write_json(path: Path, rehearsal: Rehearsal) -> None:
    """Write the report as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rehearsal), indent=2) + b"\n")


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile by linear interpolation between the nearest ranks (as NumPy's default); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return round(ordered[below] + (ordered[above] - ordered[below]) * (rank - below), 4)


def served_within(answered: Sequence[float], users: int) -> list[float | None]:
    """Return, for each whole percentage 0…100 of all users, the time within which so many were answered."""
    ordered = [0.0, *sorted(answered)]
    needed = [math.ceil(users * percent / 100) for percent in range(101)]
    return [ordered[count] if count < len(ordered) else None for count in needed]


def count_outcomes(visits: Sequence[Visited]) -> tuple[Mapping[Outcome, int], dict[str, int]]:
    """Return how many visits ended in each way, and the failures by kind, the most frequent first."""
    outcomes = Counter(visit.outcome for visit in visits)
    kinds = Counter(visit.kind for visit in visits if visit.outcome is Outcome.FAILED)
    return outcomes, dict(kinds.most_common())


def bins(times: Sequence[float], step: float, length: int) -> list[int]:
    """Count times into `length` bins of `step` seconds; what lies beyond the last counts there."""
    counts = [0] * length
    for time in times:
        counts[min(max(int(time / step), 0), length - 1)] += 1
    return counts


def series_of(visits: Sequence[Visited]) -> Series:
    """Return when users arrived, were answered, and left without an answer."""
    ends = [visit.at + visit.done_s for visit in visits]
    length = int(max(ends, default=0.0) / STEP_S) + 1
    right = [end for visit, end in zip(visits, ends, strict=True) if visit.outcome is Outcome.ANSWERED]
    not_right = [end for visit, end in zip(visits, ends, strict=True) if visit.outcome is not Outcome.ANSWERED]
    return Series(
        STEP_S,
        bins([visit.at for visit in visits], STEP_S, length),
        bins(right, STEP_S, length),
        bins(not_right, STEP_S, length),
    )
