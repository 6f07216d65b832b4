"""JSON: every value under the path of keys that leads to it; each element of a list is a passage of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import Document
from rushhour.rag.parse.writer import Writer

MAX_DEPTH: Final = 200
"""Nesting of objects and lists."""
_TITLES: Final = ("title", "name")
_LONG: Final = 200
_WORDS: Final = {True: "true", False: "false"}


def parse_json(name: str, content: bytes) -> Document:
    """Parse one JSON value: the keys of the outermost object become headings over what they hold.

    Raises UnreadableDocument, naming line and column, for what is no JSON or nests deeper than `MAX_DEPTH`.
    """
    value = _loaded(name, decode(name, content))
    writer = Writer()
    title = ""
    if isinstance(value, dict):
        title = _clean(next((value[key] for key in _TITLES if isinstance(value.get(key), str)), ""))
        writer.block("\n".join(_lines(name, {key: one for key, one in value.items() if not _holds(one)})))
        for key, one in value.items():
            if _holds(one):
                writer.heading(_clean(key), 2)
                _write(writer, name, one)
    else:
        _write(writer, name, value)
    return writer.document(name, title)


def parse_jsonl(name: str, content: bytes) -> Document:
    """Parse one JSON value a line; raises UnreadableDocument, naming the line, for one that is none."""
    writer = Writer()
    for number, line in enumerate(decode(name, content).split("\n"), start=1):
        if line.strip():
            writer.block("\n".join(_lines(name, _loaded(name, line, number))))
    return writer.document(name)


def _write(writer: Writer, name: str, value: Any) -> None:
    if isinstance(value, list) and any(_holds(one) for one in value):
        for one in value:
            writer.block("\n".join(_lines(name, one)))
    else:
        writer.block("\n".join(_lines(name, value)))


def _loaded(name: str, text: str, line: int = 0) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)  # numbers as they are written
    except json.JSONDecodeError as cause:
        where = f"line {line or cause.lineno}, column {cause.colno}"
        raise UnreadableDocument(f"{name} is no JSON: {cause.msg} in {where}.") from cause
    except RecursionError as cause:
        raise _too_deep(name) from cause


def _holds(value: Any) -> bool:
    """Whether there is something inside: an object, or a list with objects or lists in it."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value))


def _lines(name: str, value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield `path: value` for all that is inside; lists of plain values are one line."""
    if depth > MAX_DEPTH:
        raise _too_deep(name)
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _lines(name, one, f"{path}.{_clean(key)}" if path else _clean(key), depth + 1)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for number, one in enumerate(value):
            yield from _lines(name, one, f"{path}[{number}]", depth + 1)
    else:
        many = value if isinstance(value, list) else [value]
        shown = ", ".join(_shown(one) for one in many if one is not None)
        if shown.strip():
            yield _labelled(path, shown)


def _labelled(path: str, shown: str) -> str:
    if not path:
        return shown
    return f"{path}:\n{shown}" if "\n" in shown or len(shown) > _LONG else f"{path}: {shown}"


def _shown(value: Any) -> str:
    return _WORDS[value] if isinstance(value, bool) else _clean(value)


def _clean(text: str) -> str:
    """JSON can name halves of characters, which no store accepts."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _too_deep(name: str) -> UnreadableDocument:
    return UnreadableDocument(f"{name} nests deeper than {MAX_DEPTH} levels: it is no document.")
