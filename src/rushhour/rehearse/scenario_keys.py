"""The keys of a scenario's file: what each may be, and how to say that it is something else."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StrictBool

from rushhour.errors import InvalidRequest
from rushhour.rehearse.arrivals import Arrivals
from rushhour.rehearse.durations import parse_duration
from rushhour.rehearse.scenario import MOST_USERS


def _seconds(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidRequest:
            raise ValueError("write a duration like 5s, 500ms, 2m or 1h") from None
    return value


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Surface = Literal["chat", "embeddings", "vectors"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Tenant(_Part):
    name: Name
    share: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    key: Annotated[str, Field(max_length=200)] = ""
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    flood_at: Duration | None = None


class _Questions(_Part):
    count: Annotated[int, Strict(), Field(ge=1, le=100_000)] = 250
    mix: Literal["even", "zipf"] = "even"
    exponent: Annotated[float, Field(gt=0, le=10)] = 1.0


class _Friday(_Part):
    users: Annotated[int, Strict(), Field(ge=0, le=1_000)] = 20
    at_once: Annotated[int, Strict(), Field(ge=1, le=100)] = 5


class _Outage(_Part):
    begin: Duration = Field(alias="from")
    to: Duration | None = None
    kind: str = "server_error"
    surfaces: Annotated[tuple[Surface, ...], Field(min_length=1)] = ("chat",)
    share: Share = 1.0


class _Brownout(_Part):
    begin: Duration = Field(alias="from")
    to: Duration | None = None
    surfaces: Annotated[tuple[Surface, ...], Field(min_length=1)] = ("chat",)
    factor: Annotated[float, Field(ge=1, le=1_000)] = 10.0


class ScenarioFile(_Part):
    """The keys of a scenario's file; a duration is a number of seconds, or text like 500ms, 5s, 2m."""

    description: str = ""
    users: Annotated[int, Strict(), Field(ge=1, le=MOST_USERS)] | None = None
    over: Duration | None = None
    arrivals: Arrivals = "poisson"
    replay: str = ""
    patience: Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86_400)] = 60.0
    stream: StrictBool = True
    obeys: StrictBool = True
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = 1
    profile: str = "monday"
    provider: dict[str, Any] = Field(default_factory=dict)
    faults: dict[Surface, dict[str, Annotated[float, Field(ge=0, le=1)]]] = Field(default_factory=dict)
    fault_files: tuple[str, ...] = ()
    outages: tuple[_Outage, ...] = ()
    brownouts: tuple[_Brownout, ...] = ()
    questions: _Questions = _Questions()
    friday: _Friday = _Friday()
    tenants: tuple[_Tenant, ...] = ()


def explain(error: Any) -> str:
    """Say what one of pydantic's errors means: the key, its value, and what it may be."""
    place = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: there is no such key{_suggestion(error['loc'])}"
    if error["type"] == "missing":
        return f"{place}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}".replace("input should", "it must")
    value = error.get("input")
    shown = "" if isinstance(value, dict | list) else f" = {value!r}"
    return f"{place}{shown}: {message}"


def _place(loc: tuple[int | str, ...]) -> str:
    place = ""
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place


def _suggestion(loc: tuple[int | str, ...]) -> str:
    kind = _PARTS.get(str(loc[0]), ScenarioFile) if len(loc) > 1 else ScenarioFile
    known = [field.alias or name for name, field in kind.model_fields.items()]
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known there: {', '.join(known)}"


_PARTS: dict[str, type[BaseModel]] = {
    "tenants": _Tenant,
    "questions": _Questions,
    "friday": _Friday,
    "outages": _Outage,
    "brownouts": _Brownout,
}
