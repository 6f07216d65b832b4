"""What a rehearsal found out, as one JSON-ready tree of figures.

Units are in the names: `_s` seconds, `_mb` 10⁶ bytes, `_usd` dollars. A figure that nothing was measured for is
None, never 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class ProviderCalls(msgspec.Struct, frozen=True):
    """Requests that reached each provider, refused ones included."""

    embeddings: int = 0
    vectors: int = 0
    chat: int = 0


class Series(msgspec.Struct, frozen=True):
    """What happened when: counts in bins of `step_s` seconds from the first scheduled arrival.

    `arrived`, `answered` and `unserved` count users; `admitted` and `throttled` count chat calls at the provider,
    a second each; `failed` of those admitted met a fault of the provider.
    """

    step_s: float
    arrived: list[int]
    answered: list[int]
    unserved: list[int]
    admitted: list[int] = []
    throttled: list[int] = []
    failed: list[int] = []


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """How the second visits ended, of users who were refused honestly and came again when they were told to."""

    users: int = 0
    answered: int = 0
    wrong: int = 0
    refused: int = 0
    errors: dict[str, int] = {}


class TenantRun(msgspec.Struct, frozen=True, kw_only=True):
    """How one tenant's users fared; the percentiles are of those answered rightly. `flooded`: they came all at once."""

    tenant: str
    users: int
    answered: int
    wrong: int
    refused: int
    refused_first: int
    errors: dict[str, int]
    p50_s: float | None
    p95_s: float | None
    flooded: bool = False


class SimulatorLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the simulated provider itself held the run up.

    `cpu_share` is its mean share of a core, `busiest` that of its busiest two seconds, `late_p99_s` by how much it was
    later than it meant to be for 99 % of its calls (None: it does not tell). `bottleneck` says that a limit of this
    machine, not of the provider, may show in the figures.
    """

    cpu_share: float = 0.0
    busiest: float = 0.0
    late_p99_s: float | None = None
    bottleneck: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline's Monday.

    The percentiles are of the users who were answered rightly, from their scheduled arrival; `served_within_s[p]`
    is the time within which p % of *all* users had a right answer (None: never). `makespan_s` ends when the last
    user is done, served or not, `done_99_s` when 99 % are: one slow call of the provider moves only the first.
    `cost_usd` is what the provider charges, for answers that helped nobody too.
    Users who came again after an honest refusal count as their second visit ended; `refused_first` is how many were
    refused at first, `returned` how those fared who came again. `degraded` counts the right answers that say they lack
    something, by what; `verdict` is the simulated provider's own on its client. CPU and memory are None for an app
    that the rehearsal did not start.
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
    cpu_s: float | None
    peak_rss_mb: float | None
    done_99_s: float | None = None
    first_word_p50_s: float | None = None
    first_word_p95_s: float | None = None
    served_within_s: list[float | None] = []
    cost_per_answer_usd: float | None = None
    embeddings_per_answer: float | None = None
    series: Series
    crowd_late_p99_s: float = 0.0
    crowd_cpu_s: float = 0.0
    refused_first: int = 0
    returned: Returned = Returned()
    degraded: dict[str, int] = {}
    tenants: list[TenantRun] = []
    simulator: SimulatorLoad = SimulatorLoad()
    verdict: dict[str, Any] | None = None
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


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """One objective of a run: as it was written, what was measured (None: nothing), and whether it holds."""

    objective: str
    measured: float | None
    shown: str
    held: bool


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """The objectives of one pipeline; `held` when every one of them is."""

    pipeline: str
    held: bool
    objectives: list[Objective]


class FloorNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the floor is due to: the limit on requests, on tokens, a server's slots, or the users' own arrivals.

    `tokens_per_call` is what a prompt is charged, `tokens_per_answer` how long an answer is, `closed_s` for how long no
    chat call could succeed; `ceiling` are the corners (seconds, calls) of the most that can have been admitted.
    `waits_s[p]` is the time within which p % of all users can have been admitted at best (None: never). Where `slots`
    are the tightest limit, whether or not anybody waits for it, they are told, with the seconds that a call takes one.
    """

    bound: str = "requests"
    tokens_per_call: float = 0.0
    tokens_per_answer: float = 0.0
    slots: int | None = None
    work_s: float | None = None
    closed_s: float = 0.0
    ceiling: list[tuple[float, float]] = []
    waits_s: list[float | None] = []


class WindowNote(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which some of the provider's APIs failed or were slow, in seconds from the start, or to the end."""

    label: str
    surfaces: list[str]
    kind: str
    from_s: float
    until_s: float | None


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report; `partial` when it was interrupted, and then what is missing was not measured.

    `limit_per_s` is how many chat calls a second the tightest limit lets pass; None where there is no limit.
    """

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
    limit_per_s: float | None
    burst_credit_s: float = 0.0
    floor: FloorNote = FloorNote()
    windows: list[WindowNote] = []
    faults: dict[str, Any] = {}
    pipelines: dict[str, dict[str, str]] = {}
    slo: Slo | None = None
    description: str = ""
    wall_s: float = 0.0
    replicas: int = 1
    limit_used: float | None = None
    partial: bool = False
    version: str = ""
    made_at: int = 0
    command: str = ""


def write_json(path: Path, rehearsal: Rehearsal) -> None:
    """Write the report as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rehearsal), indent=2) + b"\n")
