"""Which limit is the wall: for each of a provider's limits, how long it takes to let the peak pass.

A limit that lets R questions a second pass, and `burst_s` seconds of them be saved up, has let N questions pass after
`N / R` seconds less what was saved up. One second of the savings stands against the time of the last answer itself, as
in `rushhour.rehearse.floor`; the users' own arrivals are the least it takes. Slots are such a limit, too
(`rushhour.rehearse.slots`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rushhour.rehearse.floor import ANSWER_S
from rushhour.rehearse.planning.provider import BATCH, Provider
from rushhour.rehearse.planning.spans import a_minute
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.slots import slots_told
from rushhour.simulator.ramp import RampSpec

_MOST_MINUTES = 10_000
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Wall:
    """One limit: what it says, how many questions a second it lets pass, and when the whole peak has passed it.

    `saved_s` is how many seconds of it are saved up at the start, beyond the one that stands for the last answer.
    `used` is the share of it that the peak takes while it lasts (None: all come at once).
    """

    key: str
    limit: str
    allows_per_s: float
    saved_s: float
    floor_s: float
    used: float | None


@dataclass(frozen=True, slots=True)
class Walls:
    """All limits, the one that holds longest first."""

    every: tuple[Wall, ...]
    over_s: float

    @property
    def floor_s(self) -> float:
        """Seconds until the whole peak can have passed every limit."""
        return self.every[0].floor_s

    @property
    def first(self) -> Wall:
        """The tightest limit, whether or not anybody waits for it."""
        return self.every[0]

    @property
    def holds(self) -> bool:
        """Whether anybody has to wait for a limit: else the users' own arrivals are all there is to wait for."""
        return self.floor_s > self.over_s * (1 + 1e-9) + 1e-9


def walls_of(traffic: Traffic, provider: Provider) -> Walls:
    """Return every limit of a provider under this traffic."""
    chat, vectors = provider.chat, provider.profile.vectors
    charged = chat.charged(traffic.prompt_tokens, traffic.max_tokens)
    found = [
        _wall(traffic, "chat requests", a_minute(chat.rpm), chat.rpm / 60, chat.burst_s),
        _wall(
            traffic,
            "chat tokens",
            a_minute(chat.tpm, f"{charged:,} a question"),
            chat.tpm / 60 / charged,
            chat.burst_s,
        ),
        *_embedding(traffic, provider),
        _wall(traffic, "vector queries", f"{vectors.query_per_s:,} a second", vectors.query_per_s, 1.0),
    ]
    if chat.ramp is not None and chat.ramp.above_tpm is not None:
        found.append(_ramp(traffic, chat.ramp, chat.ramp.above_tpm))
    if (slots := chat.slots) is not None:
        work_s = slots.work_s(traffic.answer_tokens)
        found.append(_wall(traffic, "chat slots", slots_told(slots.count, work_s), slots.count / work_s, work_s))
    ordered = sorted(found, key=lambda wall: (-wall.floor_s, -(wall.used or 0.0), wall.allows_per_s))
    return Walls(tuple(ordered), traffic.over_s)


def _embedding(traffic: Traffic, provider: Provider) -> list[Wall]:
    """Return the embedding API's limits: questions that wait at the same moment share one call."""
    embeddings = provider.profile.embeddings
    inputs = min(BATCH, embeddings.max_inputs, max(embeddings.max_request_tokens // traffic.question_tokens, 1))
    calls_per_s, tokens_per_s = embeddings.rpm / 60, embeddings.tpm / 60
    requests = a_minute(embeddings.rpm, f"up to {inputs} questions a call")
    tokens = a_minute(embeddings.tpm, f"{traffic.question_tokens:,} a question")
    return [
        _wall(traffic, "embedding requests", requests, calls_per_s * inputs, embeddings.burst_s),
        _wall(traffic, "embedding tokens", tokens, tokens_per_s / traffic.question_tokens, embeddings.burst_s),
    ]


def _wall(traffic: Traffic, key: str, limit: str, allows_per_s: float, burst_s: float) -> Wall:
    saved_s = max(burst_s - ANSWER_S, 0.0)
    floor_s = max(traffic.over_s, traffic.asked / allows_per_s - saved_s)
    return Wall(key, limit, allows_per_s, saved_s, floor_s, _used(traffic, allows_per_s))


def _used(traffic: Traffic, allows_per_s: float) -> float | None:
    return None if traffic.per_s is None else traffic.per_s / allows_per_s


def _ramp(traffic: Traffic, spec: RampSpec, above_tpm: int) -> Wall:
    """Judge a limit on growth, from a cold start: no minute may hold more input tokens than its level."""
    allows_per_s = above_tpm / 60 / traffic.prompt_tokens
    grows = f"from {above_tpm:,} input tokens a minute, + {spec.growth:.0%} in {spec.per_s / 60:g} min"
    floor_s = max(traffic.over_s, _climb(traffic.asked * traffic.prompt_tokens / above_tpm, spec))
    return Wall("chat ramp", grows, allows_per_s, 0.0, floor_s, _used(traffic, allows_per_s))


def _climb(wanted: float, spec: RampSpec) -> float:
    """Return the seconds until minutes whose level rises from 1 can have held `wanted` in all.

    Until a time t they are the minute that ends at t, the one before it, and so on; each holds the level at its end.
    """

    def held(at: float) -> float:
        return float(sum((1 + spec.growth) ** ((at - 60 * n) / spec.per_s) for n in range(int(at // 60) + 1)))

    minute = 0
    while held(60.0 * minute) < wanted and minute < _MOST_MINUTES:
        minute += 1
    if minute == 0:
        return 0.0
    low, high = 60.0 * (minute - 1), 60.0 * minute
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if held(middle) >= wanted else (middle, high)
    return high
