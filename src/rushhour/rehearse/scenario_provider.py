"""The provider of a scenario: a profile of the simulator, what the scenario changes in it, and what goes wrong when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rushhour.simulator.errors import ProfileError
from rushhour.simulator.profile_files import load_profile
from rushhour.simulator.profiles import Profile

_WHOLE = frozenset({"models"})
"""Tables whose keys may hold dots: they are overridden as a whole."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A profile by name or path, its overrides as the simulator takes them, and what both come to.

    `quiet` is the provider on Friday, `stormy` the same with the fault files that the scenario names.
    """

    name: str
    overrides: tuple[str, ...]
    quiet: Profile
    stormy: Profile


def provider_of(content: Mapping[str, Any], folder: Path | None, wrong: list[str]) -> Provider | None:
    """Read the profile and the scenario's changes to it; adds what is wrong to `wrong`, each change judged alone."""
    name, changes = content.get("profile", "monday"), content.get("provider", {})
    if not isinstance(name, str) or not isinstance(changes, Mapping):
        return None
    name, files = located(name, folder), [located(str(file), folder) for file in _listed(content.get("fault_files"))]
    overrides = tuple(_overrides(changes))
    base = _mistake(name)
    mistakes = [base] if base else [*_mistakes(name, overrides, files)]
    wrong += mistakes
    if mistakes:
        return None
    return Provider(name, overrides, load_profile(name, overrides), load_profile(name, overrides, files))


def located(name: str, folder: Path | None) -> str:
    """Return a shipped file's name as it is, and a path as seen from the scenario's folder."""
    is_path = name.endswith(".toml") or "/" in name
    return str(((folder or Path()) / name).resolve()) if is_path else name


def _mistakes(name: str, overrides: Sequence[str], files: Sequence[str]) -> Iterator[str]:
    """Judge every change alone, and all of them together if none is wrong by itself."""
    alone = [*((_mistake(name, [one])) for one in overrides), *(_mistake(name, files=[file]) for file in files)]
    if any(alone):
        yield from filter(None, alone)
    elif together := _mistake(name, overrides, files):
        yield together


def _mistake(name: str, overrides: Sequence[str] = (), files: Sequence[str] = ()) -> str:
    try:
        load_profile(name, overrides, files)
    except ProfileError as cause:
        place = "provider: " if overrides else "fault_files: " if files else "profile: "
        return place + str(cause).removeprefix(f"Profile {name!r}: ")
    return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _overrides(changes: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Flatten tables to `chat.rpm=500`, as the simulator's command line takes them."""
    for key, value in changes.items():
        path = f"{where}.{key}" if where else key
        if isinstance(value, Mapping) and value and key not in _WHOLE:
            yield from _overrides(value, path)
        else:
            yield f"{path}={_toml(value)}"


def _toml(value: Any) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)
