"""Profiles: what a simulated provider allows, how it feels, how often it fails, what it costs.

A profile is a TOML file; every field has a default, so a file says only what it means. Shipped ones are in
`profiles/`. No model is special: any name gets the surface's limits, unless the surface lists `models`; then those
exist and no others, or those with limits of their own where `other_models` exist too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from rushhour.simulator.conversion import convert, numbers
from rushhour.simulator.errors import ProfileError
from rushhour.simulator.faults import FAULTS, can_strike
from rushhour.simulator.faults.windows import Brownout, Outage, problem
from rushhour.simulator.latency import LatencySpec
from rushhour.simulator.ramp import RampSpec

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
BurstSeconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=60)]
Dimensions: TypeAlias = Annotated[int, msgspec.Meta(ge=8, le=4096)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a profile: immutable, and a field that is not known is an error."""


class ModelLimits(_Part, frozen=True):
    """Where a listed model differs from its surface; None means as the surface."""

    rpm: Positive | None = None
    tpm: Positive | None = None
    burst_s: BurstSeconds | None = None
    price_in: Amount | None = None
    price_cached_in: Amount | None = None
    price_out: Amount | None = None


UNLISTED = ModelLimits()
"""A model that is not listed is as its surface."""


class EmbeddingsProfile(_Part, frozen=True):
    """The embeddings API: limits a minute, sizes, and the price in $ per 1M tokens.

    A vector has `dimensions` numbers, or as many as the request says, up to `max_dimensions`, where the models take
    that parameter at all.
    """

    rpm: Positive = 3_000
    tpm: Positive = 1_000_000
    burst_s: BurstSeconds = 60.0
    count_unsuccessful: bool = False
    ramp: RampSpec | None = None
    dimensions: Dimensions = 512
    max_dimensions: Dimensions = 3_072
    takes_dimensions: bool = True
    max_inputs: Positive = 2_048
    max_input_tokens: Positive = 8_192
    max_request_tokens: Positive = 300_000
    price_in: Amount = 0.02
    models: dict[str, ModelLimits] = {}
    other_models: bool = False
    latency: LatencySpec = LatencySpec(median_s=0.3, sigma=0.22, slow_s=(0.8, 2.0))
    faults: dict[str, Share] = {}


class ChatProfile(_Part, frozen=True):
    """The chat API: limits a minute, how a call is charged against them, prices in $ per 1M tokens, speed.

    `charge` is the rule for R: `max` of max_tokens and the prompt's estimate, their `sum`, or the `prompt` alone.
    `tokens_per_s` are the slowest and fastest stream. The beginning of a prompt seen within `prompt_cache_s` costs
    `price_cached_in`, or `price_in` where that is not said.
    """

    rpm: Positive = 3_000
    tpm: Positive = 2_000_000
    burst_s: BurstSeconds = 60.0
    count_unsuccessful: bool = False
    ramp: RampSpec | None = None
    charge: Literal["max", "sum", "prompt"] = "max"
    context_tokens: Positive = 128_000
    prompt_cache_s: Amount = 300.0
    price_in: Amount = 0.15
    price_cached_in: Amount | None = None
    price_out: Amount = 0.60
    tokens_per_s: tuple[Positive, Positive] = (45, 105)
    tokens_per_chunk: Positive = 1
    models: dict[str, ModelLimits] = {}
    other_models: bool = False
    latency: LatencySpec = LatencySpec(median_s=0.55, sigma=0.3, slow_s=(2.0, 4.0))
    faults: dict[str, Share] = {}


class VectorsProfile(_Part, frozen=True):
    """The vector store: calls a second of each operation, sizes, and how long a write stays invisible.

    Upserts, queries, deletes and updates are limited per namespace, the others per index; the read and write units a
    month (None: as many as one likes) hold for all indexes. `index` is the one whose host is the simulator's own
    address; it exists without being created, and its `dimension` is None where the first upsert decides. A created
    index is ready after `ready_s`.
    """

    index: str = "simulated"
    dimension: Dimensions | None = None
    max_indexes: Positive = 20
    ready_s: Amount = 0.0
    query_per_s: Positive = 100
    query_units_per_s: Positive = 2_000
    upsert_per_s: Positive = 100
    upsert_bytes_per_s: Positive = 50_000_000
    delete_per_s: Positive = 100
    delete_by_metadata_per_s: Positive = 5
    update_per_s: Positive = 100
    update_by_metadata_per_s: Positive = 5
    read_units_a_month: Positive | None = None
    write_units_a_month: Positive | None = None
    fetch_per_s: Positive = 100
    list_per_s: Positive = 200
    stats_per_s: Positive = 100
    freshness_s: Amount = 0.2
    stats_lag_s: Amount = 1.0
    max_records: Positive = 1_000
    max_bytes: Positive = 2_097_152
    latency: LatencySpec = LatencySpec(median_s=0.055, sigma=0.3, slow_s=(0.2, 0.6), capacity=500)
    faults: dict[str, Share] = {}


class RerankProfile(_Part, frozen=True):
    """The reranker: requests a minute, sizes, and the price in $ per search of up to 100 documents.

    `max_concurrent` and `max_batch` hold for the self-hosted shape, which refuses instead of counting.
    """

    rpm: Positive = 1_000
    burst_s: BurstSeconds = 60.0
    max_documents: Positive = 10_000
    max_tokens_per_doc: Positive = 4_096
    max_concurrent: Positive = 512
    max_batch: Positive = 32
    price_search: Amount = 0.002
    models: dict[str, ModelLimits] = {}
    latency: LatencySpec = LatencySpec(median_s=0.15, sigma=0.3, slow_s=(0.5, 1.5))
    faults: dict[str, Share] = {}


class Profile(_Part, frozen=True):
    """Everything about the simulated providers.

    `keys` are the API keys that are accepted; none means any, or no key at all. `outages` and `brownouts` are by the
    clock, in seconds since the start or the last reset.
    """

    name: str = "default"
    description: str = ""
    organization: str = "org-simulated"
    keys: frozenset[str] = frozenset()
    embeddings: EmbeddingsProfile = EmbeddingsProfile()
    chat: ChatProfile = ChatProfile()
    vectors: VectorsProfile = VectorsProfile()
    rerank: RerankProfile = RerankProfile()

    outages: tuple[Outage, ...] = ()
    brownouts: tuple[Brownout, ...] = ()

    def __post_init__(self) -> None:
        """Check what no single field can."""
        for surface in SURFACES:
            part = getattr(self, surface)
            _check_faults(surface, part.faults)
            _check_range(f"{surface}.latency.slow_s", part.latency.slow_s)
        _check_range("chat.tokens_per_s", self.chat.tokens_per_s)
        wrong = problem("outages", self.outages, SURFACES) or problem("brownouts", self.brownouts, SURFACES)
        if wrong:
            raise ValueError(wrong)

    def as_json(self) -> Any:
        """Return the profile as plain values, the keys left out."""
        return {**msgspec.to_builtins(self), "keys": len(self.keys)}


SURFACES: Mapping[str, type[msgspec.Struct]] = {
    field.name: field.type
    for field in msgspec.structs.fields(Profile)
    if isinstance(field.type, type) and issubclass(field.type, _Part)
}
"""The sections of a profile that are surfaces, each with latency and faults."""
_WINDOWS: Mapping[str, type[msgspec.Struct]] = {"outages": Outage, "brownouts": Brownout}


def build_profile(content: Mapping[str, Any], source: str = "Profile 'profile'") -> Profile:
    """Make a profile of plain values; raises ProfileError, which begins with the source."""
    for key, value in numbers(content):
        if not math.isfinite(value) and not key.endswith(".to_s"):
            raise ProfileError(f"{source}: {key} = {value}: write a finite number.")
    for key, kind in _WINDOWS.items():
        windows = content.get(key, ())
        for number, window in enumerate(windows if isinstance(windows, list) else ()):
            convert(window, kind, source, f"{key}[{number}]")
    return convert(content, Profile, source)


def _check_faults(surface: str, shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if name not in FAULTS:
            raise ValueError(
                f"{surface}.faults.{name} = {share:g}: there is no fault {name!r}; known are {', '.join(FAULTS)}"
            )
        if not can_strike(name, surface):
            possible = ", ".join(one for one in SURFACES if can_strike(name, one))
            raise ValueError(f"{surface}.faults.{name} = {share:g}: it cannot strike {surface}, only {possible}")
    if sum(shares.values()) > 1:
        raise ValueError(
            f"{surface}.faults: the shares add up to {sum(shares.values()):g}; they are parts of all calls, 1 at most"
        )


def _check_range(where: str, low_high: tuple[float, float]) -> None:
    if low_high[0] > low_high[1]:
        raise ValueError(f"{where} = {list(low_high)}: the first is the least and must not exceed the second")
