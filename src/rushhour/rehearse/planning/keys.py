"""The keys of a plan, as options of the shell or in a TOML file: what each may be, and how to say that it is not."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rushhour.errors import InvalidRequest
from rushhour.rehearse.durations import parse_duration
from rushhour.rehearse.planning.simulate import MOST_SIMULATED
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.scenario import MOST_USERS

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|sec|second|m|min|minute|h|hour)")
_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}
_ZIPF = re.compile(r"zipf:(\d+)(?::(\d+(?:\.\d+)?))?")


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except InvalidRequest:
        raise ValueError("write a duration like 5s, 500ms, 2m or 1h") from None


def _share(value: object) -> object:
    """Read `30%` or `0.3`; the words of Zipf's law stay words."""
    if not isinstance(value, str) or _ZIPF.fullmatch(value.strip().lower()):
        return value
    number, percent = value.strip().removesuffix("%"), value.strip().endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise ValueError("write a share like 30% or 0.3") from None


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _RATE.fullmatch(value.strip().lower())
    if match is None:
        raise ValueError("write a rate like 40/s, 900/min or 5000/h")
    return float(match[1]) / _PER[match[2][0]]


def _repeats(value: object) -> object:
    value = _share(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("write a share like 30%, or zipf:500 for 500 different questions")  # noqa: TRY004  # pydantic's
    if isinstance(value, int | float) and not 0 <= value < 1:
        raise ValueError("a share of the questions is from 0 to less than 1: write 30% or 0.3")
    return str(value)


Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
Dollars = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86_400, allow_inf_nan=False)]


class PlanKeys(BaseModel):
    """The keys of a plan; what is left out has the default of `Traffic`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: Annotated[int, Field(ge=1, le=MOST_USERS)] | None = None
    over: Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None
    per_day: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    peak: Annotated[float, BeforeValidator(_rate), Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    peak_hour: Annotated[float, BeforeValidator(_share), Field(gt=0, le=1)] | None = None
    peak_for: Duration | None = None
    prompt_tokens: Tokens = Traffic.prompt_tokens
    answer_tokens: Tokens = Traffic.answer_tokens
    max_tokens: Tokens | None = None
    question_tokens: Tokens = Traffic.question_tokens
    cached_tokens: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    repeats: Annotated[str, BeforeValidator(_repeats)] = "0"
    patience: Duration = Traffic.patience_s
    within: Duration | None = None
    profile: str = "openai-tier-1"
    model: str = ""
    set: tuple[str, ...] = ()
    price_in: Dollars | None = None
    price_cached_in: Dollars | None = None
    price_out: Dollars | None = None
    price_embed: Dollars | None = None
    simulate: Annotated[int, Field(ge=0, le=MOST_SIMULATED)] = 2_000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1

    @property
    def zipf(self) -> tuple[int, float] | None:
        """How many different questions there are and the law's exponent, where repeats were told so."""
        match = _ZIPF.fullmatch(self.repeats.strip().lower())
        return (int(match[1]), float(match[2] or 1.0)) if match else None


def read_keys(file: Path | None, options: Mapping[str, object]) -> PlanKeys:
    """Read a plan's file, if any, and lay the options that were given over it.

    Raises InvalidRequest, which names every key that is wrong, its value and the remedy.
    """
    content = _content(file) if file else {}
    given = {key: value for key, value in options.items() if value is not None and value != []}
    try:
        keys = PlanKeys.model_validate({**content, **given})
    except ValidationError as cause:
        wrong = [_explain(error, given) for error in cause.errors()]
        where = f"The plan {file}" if file else "The plan"
        raise InvalidRequest(
            "\n".join([f"{where} cannot be made:", *(f"  - {line}" for line in wrong)]), param="plan"
        ) from None
    return keys


def option(key: str) -> str:
    """Return how the shell calls a key."""
    return f"--{key.replace('_', '-')}"


def _content(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as cause:
        raise InvalidRequest(
            f"The plan {file} cannot be read: {cause.strerror}. Check the path.", param="plan"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise InvalidRequest(f"The plan {file} is not valid TOML: {cause}.", param="plan") from None
    profile = content.get("profile")
    if isinstance(profile, str) and (profile.endswith(".toml") or "/" in profile):
        content["profile"] = str(file.parent / profile)
    return content


def _explain(error: Any, given: Mapping[str, object]) -> str:
    key = str(error["loc"][0])
    name = option(key) if key in given else key
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, PlanKeys.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(PlanKeys.model_fields)}"
        return f"{key}: there is no such key; {hint}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should ")
    return f"{name} = {error.get('input')!r}: {'it must ' if message.startswith('be ') else ''}{message}"
