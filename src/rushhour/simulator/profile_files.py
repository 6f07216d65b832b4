"""Profiles and faults from TOML files: shipped ones by name, one's own by path, with overrides on top.

A fault file is the part of a profile that goes wrong, `[chat.faults]`, `[[outages]]` and `[[brownouts]]`, and is laid
over any profile: `openai-tier-1` on a `flaky` day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from rushhour.simulator.errors import ProfileError
from rushhour.simulator.profiles import SURFACES, Profile, build_profile

_TEXTS = ("name", "description")
_WINDOWS = ("outages", "brownouts")


def shipped() -> list[str]:
    """Return the names of the profiles that come with the simulator."""
    return _names("profiles")


def shipped_faults() -> list[str]:
    """Return the names of the fault files that come with the simulator."""
    return _names("fault_files")


def load_profile(name: str = "monday", overrides: Iterable[str] = (), faults: Iterable[str] = ()) -> Profile:
    """Read a shipped profile by name, or a TOML file by path, with fault files and then overrides on top.

    An override is `key=value`: a key is dotted (`chat.rpm=500`), a value is TOML (`true`, `0.5`, `[1.0, 2.0]`) or
    else a plain string. Raises ProfileError, which names the source, the field and the remedy.
    """
    content = _read("profiles", name, "profile")
    source = f"Profile {name!r}"
    for overlay in faults:
        source += f" with faults {overlay!r}"
        _lay_over(content, _fault_file(overlay))
    for override in overrides:
        _apply(content, override)
    return build_profile(content, source)


def describe(shelf: str, name: str) -> str:
    """Return what a shipped file of a shelf, `profiles` or `fault_files`, says about itself."""
    return str(_read(shelf, name, "file").get("description", ""))


def _fault_file(name: str) -> dict[str, Any]:
    """Read a fault file and check it by itself, so that what is wrong in it is told as its own."""
    content = _read("fault_files", name, "fault file")
    source = f"Fault file {name!r}"
    for key, value in content.items():
        if key in SURFACES:
            others = [other for other in value if other != "faults"] if isinstance(value, Mapping) else [str(value)]
            if others:
                raise ProfileError(f"{source}: {key}.{others[0]} is not about faults; write it into a profile.")
        elif key not in (*_TEXTS, *_WINDOWS):
            known = ", ".join([*_TEXTS, *_WINDOWS, *(f"{surface}.faults" for surface in SURFACES)])
            raise ProfileError(f"{source}: there is no field {key}. Known there: {known}.")
    build_profile(content, source)
    return content


def _lay_over(content: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    for surface in SURFACES:
        shares = overlay.get(surface, {}).get("faults", {})
        if shares:
            below = content.setdefault(surface, {})
            below["faults"] = {**below.get("faults", {}), **shares}
    for key in _WINDOWS:
        if key in overlay:
            content[key] = [*content.get(key, []), *overlay[key]]
    told = [content.get("name", ""), overlay.get("name", "")]
    content["name"] = " + ".join(filter(None, told))


def _names(shelf: str) -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in _shelf(shelf).iterdir() if file.name.endswith(".toml"))


def _shelf(shelf: str) -> Any:
    return resources.files("rushhour.simulator") / shelf


def _read(shelf: str, name: str, kind: str) -> dict[str, Any]:
    is_path = name.endswith(".toml") or "/" in name
    if not is_path and name not in _names(shelf):
        raise ProfileError(
            f"There is no {kind} {name!r}. Shipped are: {', '.join(_names(shelf))}. For one of your own, name its "
            f"file: {name}.toml"
        )
    source = Path(name) if is_path else _shelf(shelf) / f"{name}.toml"
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except OSError as wrong:
        raise ProfileError(f"The {kind} {name!r} cannot be read: {wrong.strerror}. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ProfileError(f"The {kind} {name!r} is not valid TOML: {wrong}.") from None


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
