"""Profiles: what a simulated provider allows, how it feels, how often it fails, what it costs.

A profile is a TOML file; every field has a default, so a file says only what it means. Shipped ones are in
`profiles/`. No model is special: any name gets the surface's limits, unless the surface lists `models`; then those
exist and no others.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from rushhour.simulator.errors import ProfileError
from rushhour.simulator.faults import FAULTS
from rushhour.simulator.latency import LatencySpec

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
    price_out: Amount | None = None


class EmbeddingsProfile(_Part, frozen=True):
    """The embeddings API: limits a minute, sizes, and the price in $ per 1M tokens."""

    rpm: Positive = 3_000
    tpm: Positive = 1_000_000
    burst_s: BurstSeconds = 60.0
    count_unsuccessful: bool = False
    dimensions: Dimensions = 512
    max_inputs: Positive = 2_048
    max_input_tokens: Positive = 8_192
    max_request_tokens: Positive = 300_000
    price_in: Amount = 0.02
    models: dict[str, ModelLimits] = {}
    latency: LatencySpec = LatencySpec(median_s=0.3, sigma=0.22, slow_s=(0.8, 2.0))
    faults: dict[str, Share] = {}


class ChatProfile(_Part, frozen=True):
    """The chat API: limits a minute, how a call is charged against them, prices in $ per 1M tokens, speed.

    `charge` is the rule for R: `max` of max_tokens and the prompt's estimate, their `sum`, or the `prompt` alone.
    `answer_tokens` is the least and the most that an answer aims at; `tokens_per_s` the slowest and fastest stream.
    """

    rpm: Positive = 3_000
    tpm: Positive = 2_000_000
    burst_s: BurstSeconds = 60.0
    count_unsuccessful: bool = False
    charge: Literal["max", "sum", "prompt"] = "max"
    context_tokens: Positive = 128_000
    price_in: Amount = 0.15
    price_out: Amount = 0.60
    tokens_per_s: tuple[Positive, Positive] = (45, 105)
    tokens_per_chunk: Positive = 1
    models: dict[str, ModelLimits] = {}
    latency: LatencySpec = LatencySpec(median_s=0.55, sigma=0.3, slow_s=(2.0, 4.0))
    faults: dict[str, Share] = {}


class VectorsProfile(_Part, frozen=True):
    """The vector store: calls a second of each operation, sizes, and how long a write stays invisible.

    Upserts, queries and deletes are limited per namespace, the others per index. `dimension` is None where the
    first upsert decides.
    """

    index: str = "simulated"
    dimension: Dimensions | None = None
    query_per_s: Positive = 100
    upsert_per_s: Positive = 100
    delete_per_s: Positive = 100
    fetch_per_s: Positive = 100
    list_per_s: Positive = 200
    stats_per_s: Positive = 100
    freshness_s: Amount = 0.2
    stats_lag_s: Amount = 1.0
    max_records: Positive = 1_000
    max_bytes: Positive = 2_097_152
    latency: LatencySpec = LatencySpec(median_s=0.055, sigma=0.3, slow_s=(0.2, 0.6), capacity=500)
    faults: dict[str, Share] = {}


class Profile(_Part, frozen=True):
    """Everything about the simulated providers.

    `keys` are the API keys that are accepted; none means any, or no key at all.
    """

    name: str = "default"
    description: str = ""
    organization: str = "org-simulated"
    keys: frozenset[str] = frozenset()
    embeddings: EmbeddingsProfile = EmbeddingsProfile()
    chat: ChatProfile = ChatProfile()
    vectors: VectorsProfile = VectorsProfile()

    def __post_init__(self) -> None:
        """Check what no single field can."""
        for surface in ("embeddings", "chat", "vectors"):
            part = getattr(self, surface)
            _check_faults(f"{surface}.faults", part.faults)
            _check_range(f"{surface}.latency.slow_s", part.latency.slow_s)
        _check_range("chat.tokens_per_s", self.chat.tokens_per_s)

    def as_json(self) -> Any:
        """Return the profile as plain values, the keys left out."""
        return {**msgspec.to_builtins(self), "keys": len(self.keys)}


def shipped() -> list[str]:
    """Return the names of the profiles that come with the simulator."""
    return sorted(file.name.removesuffix(".toml") for file in _shelf().iterdir() if file.name.endswith(".toml"))


def load_profile(name: str = "monday", overrides: Iterable[str] = ()) -> Profile:
    """Read a shipped profile by name, or a TOML file by path, with `key=value` overrides on top.

    A key is dotted (`chat.rpm=500`), a value is TOML (`true`, `0.5`, `[1.0, 2.0]`) or else a plain string.
    Raises ProfileError, which names the source, the field and the remedy.
    """
    content = _read(name)
    for override in overrides:
        _apply(content, override)
    return build_profile(content, source=name)


def build_profile(content: Mapping[str, Any], source: str = "profile") -> Profile:
    """Make a profile of plain values; raises ProfileError."""
    try:
        return msgspec.convert(content, Profile)
    except msgspec.ValidationError as wrong:
        raise ProfileError(f"Profile {source!r}: {_explain(str(wrong), content)}") from None


def _shelf() -> Any:
    return resources.files("rushhour.simulator") / "profiles"


def _read(name: str) -> dict[str, Any]:
    is_path = name.endswith(".toml") or "/" in name
    if not is_path and name not in shipped():
        raise ProfileError(
            f"There is no profile {name!r}. Shipped are: {', '.join(shipped())}. For one of your own, name its file: "
            f"{name}.toml"
        )
    source = Path(name) if is_path else _shelf() / f"{name}.toml"
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except OSError as wrong:
        raise ProfileError(f"Profile {name!r} cannot be read: {wrong.strerror}. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ProfileError(f"Profile {name!r} is not valid TOML: {wrong}.") from None


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ProfileError(f"Override {override!r} is not key=value. Write, for example, chat.rpm=500.")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in path[:-1]:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise ProfileError(f"Override {override!r}: {part!r} is a value, not a table.")
    content[path[-1]] = parsed


def _explain(problem: str, content: Mapping[str, Any]) -> str:
    message, _, path = problem.partition(" - at `$.")
    path = path.rstrip("`")
    if "unknown field" in message:
        field = message.split("`")[1]
        known = ", ".join(_fields(path))
        return f"there is no field {'.'.join(filter(None, (path, field)))}. Known there: {known}."
    value: Any = content
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else value
    return f"{path} = {value!r}: {message}." if path else f"{message}."


def _fields(path: str) -> list[str]:
    kind: Any = Profile
    for part in filter(None, path.split(".")):
        kind = next((field.type for field in msgspec.structs.fields(kind) if field.name == part), ModelLimits)
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            kind = ModelLimits
    return [field.name for field in msgspec.structs.fields(kind)]


def _check_faults(where: str, shares: Mapping[str, float]) -> None:
    for name in shares:
        if name not in FAULTS:
            raise ValueError(f"{where}: there is no fault {name!r}; known are {', '.join(FAULTS)}")
    if sum(shares.values()) > 1:
        raise ValueError(
            f"{where}: the shares add up to {sum(shares.values()):g}; they are parts of all calls, 1 at most"
        )


def _check_range(where: str, low_high: tuple[float, float]) -> None:
    if low_high[0] > low_high[1]:
        raise ValueError(f"{where} = {list(low_high)}: the first is the least and must not exceed the second")
