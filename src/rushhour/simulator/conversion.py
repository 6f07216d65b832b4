"""Plain values, as TOML has them, made into typed structs; what does not fit is named with key, value and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

import msgspec

from rushhour.simulator.errors import ProfileError

T = TypeVar("T", bound=msgspec.Struct)


def convert(content: Any, kind: type[T], source: str, where: str = "") -> T:
    """Make a struct of plain values; raises ProfileError, `where` being the key of the content in its source."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as wrong:
        raise ProfileError(f"{source}: {_explain(str(wrong), content, kind, where)}") from None


def numbers(content: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """Yield every float with its dotted key."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from numbers(value, f"{where}.{key}" if where else str(key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from numbers(value, f"{where}[{number}]")
    elif isinstance(content, float):
        yield where, content


def _explain(problem: str, content: Any, kind: type[msgspec.Struct], where: str) -> str:
    message, _, path = problem.partition(" - at `$.")
    path = path.rstrip("`")
    key = ".".join(filter(None, (where, path)))
    if "unknown field" in message:
        field = message.split("`")[1]
        known = ", ".join(_fields(kind, path))
        return f"there is no field {'.'.join(filter(None, (key, field)))}. Known there: {known}."
    if "missing required field" in message:
        return f"{'.'.join(filter(None, (key, message.split('`')[1])))} is missing; say it."
    value: Any = content
    for part in filter(None, path.split(".")):
        value = value.get(part) if isinstance(value, Mapping) else value
    return f"{key} = {value!r}: {message}." if key else f"{message}."


def _fields(kind: type[msgspec.Struct], path: str) -> list[str]:
    for part in filter(None, path.split(".")):
        inner = next((field.type for field in msgspec.structs.fields(kind) if field.name == part), kind)
        kind = _struct_in(inner) or kind
    return [field.name for field in msgspec.structs.fields(kind)]


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct that a type is or holds, as `dict[str, ModelLimits]` does."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for inner in get_args(kind) if (found := _struct_in(inner)) is not None), None)
