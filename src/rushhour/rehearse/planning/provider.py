"""The provider of a plan: a profile of the simulator, one chat model's limits in it, and the prices that are known."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rehearse.slots import Slots, slots_of
from rushhour.settings import EmbedSettings
from rushhour.simulator.errors import ProfileError
from rushhour.simulator.latency import LatencySpec
from rushhour.simulator.profile_files import load_profile, shipped
from rushhour.simulator.profiles import Profile
from rushhour.simulator.ramp import RampSpec

BATCH = int(EmbedSettings.model_fields["max_inputs"].default)
"""Questions that wait at the same moment and share one embedding call, at most."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for 1M tokens; None is not known, and nothing is made up for it."""

    chat_in: float | None = None
    chat_cached_in: float | None = None
    chat_out: float | None = None
    embed: float | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """What the chat model admits: requests and tokens a minute, saved up for `burst_s` seconds; how calls are charged.

    `slots` is how many calls a server of one's own works on at a time, and for how long each.
    """

    rpm: float
    tpm: float
    burst_s: float
    charge: str
    context_tokens: int
    ramp: RampSpec | None
    latency: LatencySpec
    tokens_per_s: tuple[float, float]

    def charged(self, prompt_tokens: int, max_tokens: int) -> int:
        """Return the tokens that one call takes from the limit."""
        return {
            "max": max(prompt_tokens, max_tokens),
            "sum": prompt_tokens + max_tokens,
            "prompt": prompt_tokens,
        }[self.charge]

    @property
    def slots(self) -> Slots | None:
        """The slots of a server of one's own; None where calls take no turns."""
        return slots_of(self.latency, self.tokens_per_s)


@dataclass(frozen=True, slots=True)
class Provider:
    """A profile by name or path, with what a plan needs of it."""

    name: str
    model: str
    profile: Profile
    chat: Chat
    prices: Prices

    def with_chat(self, factor: float) -> Provider:
        """Return the same provider with `factor` times the chat limits, as a second model beside the first has."""
        chat, ramp = self.chat, self.chat.ramp
        if ramp is not None:
            grown = {
                name: None if value is None else max(round(value * factor), 1)
                for name, value in (("above_tpm", ramp.above_tpm), ("above_rpm", ramp.above_rpm))
            }
            ramp = msgspec.structs.replace(ramp, **grown)
        return replace(self, chat=replace(chat, rpm=chat.rpm * factor, tpm=chat.tpm * factor, ramp=ramp))

    def with_slots(self, times: int) -> Provider:
        """Return so many of these servers side by side, each at the same pace."""
        latency = self.chat.latency
        more = msgspec.structs.replace(latency, slots=times * (latency.slots or 1), capacity=times * latency.capacity)
        return replace(self, chat=replace(self.chat, latency=more))


def find_provider(name: str, model: str = "", overrides: Sequence[str] = (), prices: Prices = Prices()) -> Provider:
    """Return a provider by the name of a shipped profile or by a file's path; `prices` that are given outrank its own.

    Raises InvalidRequest for a profile or a model that there is not, naming what there is.
    """
    try:
        profile = load_profile(name, overrides)
    except ProfileError as cause:
        close = difflib.get_close_matches(name, shipped(), n=1, cutoff=0.5)
        hint = f". Did you mean {close[0]}?" if close and f"profile {name!r}" in str(cause) else ""
        raise InvalidRequest(f"{cause}{hint}", param="profile") from None
    chat = profile.chat
    own = chat.models.get(model) if model else None
    if model and own is None and chat.models and not chat.other_models:
        raise InvalidRequest(
            f"--model is {model!r}, and the profile {name} has no such model; choose from {', '.join(chat.models)}.",
            param="model",
        )
    limits = {key: getattr(own, key, None) or getattr(chat, key) for key in ("rpm", "tpm", "burst_s")}
    return Provider(
        name=name,
        model=model,
        profile=profile,
        chat=Chat(
            charge=chat.charge,
            context_tokens=chat.context_tokens,
            ramp=chat.ramp,
            latency=chat.latency,
            tokens_per_s=chat.tokens_per_s,
            **limits,
        ),
        prices=_prices(_stated(name, overrides), model, prices),
    )


def tiers_above(provider: Provider) -> list[Provider]:
    """Return the shipped profiles that stand above this one: the later ones of its family, or of the hosted tiers."""
    family, dash, tier = provider.name.rpartition("-")
    of_family = bool(dash) and tier.isdigit() and provider.name in shipped()
    stem = family if of_family else "openai-tier"
    found = []
    for name in shipped():
        start, _, number = name.rpartition("-")
        if start == stem and (not of_family or int(number) > int(tier)):
            model = provider.model if provider.model in load_profile(name).chat.models else ""
            found.append(find_provider(name, model))
    return found


def _prices(stated: Mapping[str, Any], model: str, given: Prices) -> Prices:
    chat: Mapping[str, Any] = stated.get("chat", {})
    chat = {**chat, **chat.get("models", {}).get(model, {})}

    def first(*values: float | None) -> float | None:
        return next((value for value in values if value is not None), None)

    price_in = first(given.chat_in, chat.get("price_in"))
    return Prices(
        chat_in=price_in,
        chat_cached_in=first(given.chat_cached_in, chat.get("price_cached_in"), price_in),
        chat_out=first(given.chat_out, chat.get("price_out")),
        embed=first(given.embed, stated.get("embeddings", {}).get("price_in")),
    )


def _stated(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what a profile's file says itself: a default price is not this provider's."""
    shelf = resources.files("rushhour.simulator") / "profiles"
    source = shelf / f"{name}.toml" if name in shipped() else Path(name)
    stated = tomllib.loads(source.read_text("utf-8"))
    for override in overrides:
        key, _, value = override.partition("=")
        *path, last = key.strip().split(".")
        table = stated
        for part in path:
            table = table.setdefault(part, {})
        if last.startswith("price"):
            table[last] = float(value)
    return stated
