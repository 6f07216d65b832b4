"""What a rehearsal plays: how many users, how fast they come, what they ask, and against which provider.

Scenarios are TOML files; those that are shipped lie in `scenarios/` (`scenario_file` reads them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

from rushhour.errors import InvalidRequest
from rushhour.rehearse.arrivals import Arrivals
from rushhour.rehearse.floor import CallTokens, Interval, Limits
from rushhour.rehearse.words import limit

MOST_USERS = 10_000_000
USUAL = CallTokens(prompt=850.0, answer=40.0)
"""Tokens of one call, until a quiet day tells better: four passages of up to 1,000 characters and a question, and an
answer that quotes a sentence."""

MONDAY = Limits(3_000, 30_000_000, 1.0)
BROWNOUT = "brownout"
SURFACES = ("chat", "embeddings", "vectors")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Some of the users: their share of all, their API key, and their weight in the queue.

    The users of a tenant that floods come all at once, `flood_at_s` seconds after the start.
    """

    name: str
    share: float = 1.0
    key: str = ""
    weight: float = 1.0
    flood_at_s: float | None = None

    @property
    def api_key(self) -> str:
        """The key that its users send."""
        return self.key or f"crowd-{self.name}"


@dataclass(frozen=True, slots=True)
class Window:
    """A time, in seconds from Monday's start, in which some of the provider's APIs fail, or are slow.

    `kind` is the fault that strikes the given `share` of the calls, or `brownout`: latency times `factor`. One that
    never ends has `to_s` infinite; one that is `built_in` is the profile's own.
    """

    kind: str
    surfaces: tuple[str, ...]
    from_s: float
    to_s: float
    share: float = 1.0
    factor: float = 10.0
    built_in: bool = False

    @property
    def label(self) -> str:
        """Say in words what it is."""
        where = " and ".join(self.surfaces)
        if self.kind == BROWNOUT:
            return f"brownout: {where} × {self.factor:g}"
        part = "" if self.share == 1 else f" {self.share:.0%} of"
        return f"{self.kind.replace('_', ' ')}:{part} {where}"

    @property
    def closes_chat(self) -> bool:
        """Say whether no chat call at all succeeds meanwhile."""
        return self.kind != BROWNOUT and self.share == 1 and "chat" in self.surfaces


@dataclass(frozen=True)
class Scenario:
    """One Monday morning; durations are in seconds.

    `profile` names the simulator's set of limits and latencies, `overrides` are changes to it (`chat.rpm=500`), and
    `limits` are the chat API's as they follow, since the floor rests on them. `faults` are the shares of calls that
    fail on Monday, by API and kind, beyond those of the profile; `windows` are outages, brownouts and the like.
    `patience_s` is how long a user waits before giving up; `stream` asks for answers word by word; users who `obey`
    come again once, as soon as an honest refusal allows.
    `questions` is how many different questions the users draw from, as the `mix` says; `friday_users` others are asked
    beforehand, on a quiet day, `friday_at_once` at a time.

    Raises InvalidRequest, naming the field, the value and what it may be.
    """

    name: str
    users: int = 1_000
    over_s: float = 5.0
    seed: int = 1
    profile: str = "monday"
    limits: Limits = MONDAY
    arrivals: Arrivals = "poisson"
    patience_s: float = 60.0
    stream: bool = True
    questions: int = 250
    friday_users: int = 20
    friday_at_once: int = 5
    mix: Literal["even", "zipf"] = "even"
    exponent: float = 1.0
    obeys: bool = True
    tenants: tuple[Tenant, ...] = ()
    faults: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    overrides: tuple[str, ...] = ()
    description: str = ""
    source: str = ""
    recorded: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self._require("users", 1 <= self.users <= MOST_USERS, f"from 1 to {MOST_USERS:,}")
        self._require("over_s", 0 <= self.over_s <= 86_400, "from 0 to 86,400 seconds")
        self._require("seed", 0 <= self.seed < 2**32, "from 0 to 4,294,967,295")
        self._require("patience_s", 0 < self.patience_s <= 86_400, "more than 0 and at most 86,400 seconds")
        self._require("questions", self.questions >= 1, "at least 1")
        self._require("friday_users", self.friday_users >= 0, "at least 0")
        self._require("friday_at_once", self.friday_at_once >= 1, "at least 1")
        self._require("arrivals", self.arrivals in ARRIVALS, f"one of {', '.join(ARRIVALS)}")
        if self.arrivals == "burst":
            self._require("over_s", self.over_s == 0, "0 seconds: in a burst all users come at once")
        if self.arrivals == "replay":
            most = len(self.recorded)
            self._require("users", self.users <= most, f"at most {most:,}: so many arrivals were recorded")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise InvalidRequest(f"Scenario {self.name}: {name} is {value}; use {allowed}.", param=name)

    @cached_property
    def closed(self) -> tuple[Interval, ...]:
        """When no chat call succeeds."""
        return tuple((window.from_s, window.to_s) for window in self.windows if window.closes_chat)


ARRIVALS: tuple[Arrivals, ...] = ("poisson", "uniform", "burst", "ramp", "replay")
_SHOWN = (
    "name", "users", "over_s", "seed", "profile", "rpm", "tpm", "burst_s", "arrivals", "patience_s", "stream",
    "questions", "friday_users", "friday_at_once", "mix", "obeys",
)  # fmt: skip


def settings_of(scenario: Scenario) -> dict[str, object]:
    """Return every setting of a scenario by name, for a report; those of some scenarios only where they are used."""
    every = {name.name: getattr(scenario, name.name) for name in fields(scenario)} | asdict(scenario.limits)
    shown: dict[str, object] = {name: every[name] for name in _SHOWN}
    shown |= {name: limit(shown[name]) for name in ("rpm", "tpm")}
    if scenario.mix == "zipf":
        shown["exponent"] = scenario.exponent
    if scenario.tenants:
        shown["tenants"] = ", ".join(_told(tenant) for tenant in scenario.tenants)
    if scenario.overrides:
        shown["profile changed"] = ", ".join(scenario.overrides)
    return shown


def quiet_day(scenario: Scenario) -> Scenario:
    """Return the Friday before: a few users of one tenant, nothing that fails on Monday only."""
    one = tuple(replace(tenant, flood_at_s=None) for tenant in scenario.tenants[:1])
    few = max(scenario.friday_users, 1)
    return replace(
        scenario, users=few, over_s=0.0, arrivals="poisson", mix="even", tenants=one, faults={}, windows=(), recorded=()
    )


def change(scenario: Scenario, **changes: object) -> Scenario:
    """Return a scenario with some fields changed; None leaves a field as it is. Raises InvalidRequest."""
    return replace(scenario, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]  # checked by Scenario


def _told(tenant: Tenant) -> str:
    flood = "" if tenant.flood_at_s is None else f", all at {tenant.flood_at_s:g} s"
    return f"{tenant.name} (share {tenant.share:g}{flood})"
